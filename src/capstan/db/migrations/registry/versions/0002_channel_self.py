"""Keep the channels that devices with an older plugin choose themselves."""

import sqlalchemy as sa
from alembic import op

from capstan.db.tables import RowId
from capstan.db.types import Timestamp

revision = "0002_registry"
down_revision = "0001_registry"


def upgrade() -> None:
    op.add_column("apps", sa.Column("channel_self_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_table(
        "channel_self_choices",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("channel_id", RowId, nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.CheckConstraint("device_id = lower(device_id)", name=op.f("ck_channel_self_choices_device_id_lower")),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.app_id"], name=op.f("fk_channel_self_choices_app_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_channel_self_choices_channel_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("app_id", "device_id", name=op.f("pk_channel_self_choices")),
    )
    op.create_index(op.f("ix_channel_self_choices_channel_id"), "channel_self_choices", ["channel_id"], unique=False)


def downgrade() -> None:
    op.drop_table("channel_self_choices")
    op.drop_column("apps", "channel_self_count")
