"""The first telemetry: devices, event log, first-seen rows, day counters."""

import sqlalchemy as sa
from alembic import op

from capstan.db.tables import RowId

revision = "0001_telemetry"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "daily_mau",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("mau", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "date"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daily_native",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("version_build", sa.Text(), nullable=False),
        sa.Column("devices", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "date", "platform", "version_build"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "daily_version",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("version_name", sa.Text(), nullable=False),
        sa.Column("get", sa.BigInteger(), nullable=False),
        sa.Column("fail", sa.BigInteger(), nullable=False),
        sa.Column("install", sa.BigInteger(), nullable=False),
        sa.Column("uninstall", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "date", "version_name"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "device_days",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("version_build", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "date", "device_id", "platform", "version_build"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "devices",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("version_name", sa.Text(), nullable=False),
        sa.Column("running_version", sa.Text(), nullable=True),
        sa.Column("offered_version", sa.Text(), nullable=True),
        sa.Column("offered_at", sa.BigInteger(), nullable=True),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("plugin_version", sa.Text(), server_default="", nullable=False),
        sa.Column("os_version", sa.Text(), server_default="", nullable=False),
        sa.Column("version_build", sa.Text(), server_default="builtin", nullable=False),
        sa.Column("custom_id", sa.Text(), server_default="", nullable=False),
        sa.Column("is_prod", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("is_emulator", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("install_source", sa.Text(), nullable=True),
        sa.Column("default_channel", sa.Text(), nullable=True),
        sa.Column("key_id", sa.Text(), nullable=True),
        sa.Column("country_code", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("last_seen_on", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "device_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_devices_updated", "devices", ["app_id", "updated_at", "device_id"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", RowId, nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("version_name", sa.Text(), nullable=False),
        sa.Column("metadata", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("platform", sa.Text(), nullable=False),
        sa.Column("country_code", sa.Text(), nullable=True),
        sa.Column("plugin_version", sa.Text(), nullable=False),
        sa.Column("usage", sa.Text(), nullable=True),
        sa.Column("usage_version", sa.Text(), nullable=True),
        sa.Column("channel_id", sa.BigInteger(), nullable=True),
        sa.Column("channel_name", sa.Text(), nullable=True),
        sa.Column("hour", sa.Integer(), nullable=True),
        sa.Column("count", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_events_app_created", "events", ["app_id", "created_at"], unique=False)
    op.create_index("ix_events_device", "events", ["app_id", "device_id", "created_at"], unique=False)
    op.create_index(
        "uq_events_hourly",
        "events",
        ["app_id", "device_id", "action", "version_name", "hour"],
        unique=True,
        sqlite_where=sa.text("hour is not null"),
        postgresql_where=sa.text("hour is not null"),
    )
    op.create_table(
        "monthly_devices",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "month", "device_id"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("monthly_devices")
    op.drop_table("events")
    op.drop_table("devices")
    op.drop_table("device_days")
    op.drop_table("daily_version")
    op.drop_table("daily_native")
    op.drop_table("daily_mau")
