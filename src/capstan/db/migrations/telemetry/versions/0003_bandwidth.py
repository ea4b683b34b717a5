"""Count what downloads send, and downloads of what is not there."""

import sqlalchemy as sa
from alembic import op

from capstan.db.tables import RowId

revision = "0003_telemetry"
down_revision = "0002_telemetry"


def upgrade() -> None:
    op.create_table(
        "bandwidth_usage",
        sa.Column("id", RowId, nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("downloads", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_bandwidth_usage_app_created", "bandwidth_usage", ["app_id", "created_at"])
    op.create_table(
        "daily_bandwidth",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("bandwidth", sa.BigInteger(), nullable=False),
        sa.Column("downloads", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "date"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daily_missing",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "date"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("daily_missing")
    op.drop_table("daily_bandwidth")
    op.drop_table("bandwidth_usage")
