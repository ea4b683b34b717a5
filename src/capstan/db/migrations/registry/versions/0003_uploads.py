"""Keep resumable uploads, and which upload links were used."""

import sqlalchemy as sa
from alembic import op

from capstan.db.types import Timestamp

revision = "0003_registry"
down_revision = "0002_registry"


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("org_id", sa.String(length=36), nullable=False),
        sa.Column("length", sa.BigInteger(), nullable=True),
        sa.Column("received", sa.BigInteger(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("checksum", sa.Text(), nullable=True),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=False),
        sa.Column("lock_owner", sa.String(length=32), nullable=True),
        sa.Column("lock_until", Timestamp(), nullable=True),
        sa.CheckConstraint("received >= 0", name=op.f("ck_uploads_received")),
        sa.ForeignKeyConstraint(["app_id"], ["apps.app_id"], name=op.f("fk_uploads_app_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("key", name=op.f("uq_uploads_key")),
    )
    op.create_index(op.f("ix_uploads_app_id"), "uploads", ["app_id"], unique=False)
    op.create_index(op.f("ix_uploads_expires_at"), "uploads", ["expires_at"], unique=False)
    op.create_table(
        "upload_parts",
        sa.Column("upload_id", sa.String(length=32), nullable=False),
        sa.Column("start", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["upload_id"], ["uploads.id"], name=op.f("fk_upload_parts_upload_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("upload_id", "start", name=op.f("pk_upload_parts")),
    )
    op.create_table(
        "used_upload_links",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_used_upload_links")),
    )
    op.create_index(op.f("ix_used_upload_links_expires_at"), "used_upload_links", ["expires_at"], unique=False)


def downgrade() -> None:
    op.drop_table("used_upload_links")
    op.drop_table("upload_parts")
    op.drop_table("uploads")
