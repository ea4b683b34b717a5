"""Recognise repeated events; note requests for apps that are not served here."""

import sqlalchemy as sa
from alembic import op

from capstan.db.tables import RowId

revision = "0002_telemetry"
down_revision = "0001_telemetry"


def upgrade() -> None:
    op.create_table(
        "event_stamps",
        sa.Column("stamp", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("stamp"),
    )
    op.create_index("ix_event_stamps_hour", "event_stamps", ["hour"])
    op.create_table(
        "unknown_app_events",
        sa.Column("id", RowId, nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("version_name", sa.Text(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("plugin_version", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_unknown_app_events_created_at", "unknown_app_events", ["created_at"])


def downgrade() -> None:
    op.drop_table("unknown_app_events")
    op.drop_table("event_stamps")
