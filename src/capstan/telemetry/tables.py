"""Telemetry's tables: device rows, the event log, first-seen rows, and the day counters derived from them.

They live apart from the registry (another file on SQLite), so that device traffic never looks like a release. Moments
are epoch milliseconds, days are UTC dates.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    text,
    true,
)

from capstan.db.tables import RowId

telemetry = MetaData()

devices = Table(
    "devices",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("device_id", String(36), primary_key=True),
    # The wire's value: the target as soon as an update is offered (contract: device 1.4, last property).
    Column("version_name", Text, nullable=False),
    # What the device last said it runs; shares, previews and retention count this one.
    Column("running_version", Text),
    Column("offered_version", Text),
    Column("offered_at", BigInteger),
    Column("platform", Text, nullable=False),
    Column("plugin_version", Text, nullable=False, server_default=""),
    Column("os_version", Text, nullable=False, server_default=""),
    Column("version_build", Text, nullable=False, server_default="builtin"),
    Column("custom_id", Text, nullable=False, server_default=""),
    Column("is_prod", Boolean, nullable=False, server_default=true()),
    Column("is_emulator", Boolean, nullable=False, server_default=false()),
    Column("install_source", Text),
    Column("default_channel", Text),
    Column("key_id", Text),
    Column("country_code", Text),
    Column("created_at", BigInteger, nullable=False),
    # Last changed, not last seen (contract: device 5.1).
    Column("updated_at", BigInteger, nullable=False),
    Column("last_seen_on", Date, nullable=False),
    Index("ix_devices_updated", "app_id", "updated_at", "device_id"),
    sqlite_with_rowid=False,
)

events = Table(
    "events",
    telemetry,
    Column("id", RowId, primary_key=True),
    Column("app_id", Text, nullable=False),
    Column("device_id", String(36), nullable=False),
    Column("action", Text, nullable=False),
    Column("version_name", Text, nullable=False),
    Column("metadata", Text),
    Column("created_at", BigInteger, nullable=False),
    Column("platform", Text, nullable=False),
    Column("country_code", Text),
    Column("plugin_version", Text, nullable=False),
    # What the event counted as: get, install, uninstall or fail of `usage_version`, on a channel; null counts nothing.
    Column("usage", Text),
    Column("usage_version", Text),
    Column("channel_id", BigInteger),
    Column("channel_name", Text),
    # Set (to the epoch hour) on answers that change nothing and are kept once an hour; `count` says how often.
    Column("hour", Integer),
    Column("count", Integer, nullable=False, server_default=text("1")),
    Index("ix_events_app_created", "app_id", "created_at"),
    Index("ix_events_device", "app_id", "device_id", "created_at"),
    Index(
        "uq_events_hourly",
        "app_id",
        "device_id",
        "action",
        "version_name",
        "hour",
        unique=True,
        sqlite_where=text("hour is not null"),
        postgresql_where=text("hour is not null"),
    ),
)

monthly_devices = Table(
    "monthly_devices",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("month", Date, primary_key=True),
    Column("device_id", String(36), primary_key=True),
    Column("first_day", Date, nullable=False),
    sqlite_with_rowid=False,
)

device_days = Table(
    "device_days",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("device_id", String(36), primary_key=True),
    Column("platform", Text, primary_key=True),
    Column("version_build", Text, primary_key=True),
    sqlite_with_rowid=False,
)

daily_mau = Table(
    "daily_mau",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("mau", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

daily_native = Table(
    "daily_native",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("platform", Text, primary_key=True),
    Column("version_build", Text, primary_key=True),
    Column("devices", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

daily_version = Table(
    "daily_version",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("version_name", Text, primary_key=True),
    Column("get", BigInteger, nullable=False),
    Column("fail", BigInteger, nullable=False),
    Column("install", BigInteger, nullable=False),
    Column("uninstall", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Events that carry their sender's timestamp, by hash, for as long as a sender may repeat them.
event_stamps = Table(
    "event_stamps",
    telemetry,
    Column("stamp", BigInteger, primary_key=True, autoincrement=False),
    Column("hour", Integer, nullable=False, index=True),
)

unknown_app_events = Table(
    "unknown_app_events",
    telemetry,
    Column("id", RowId, primary_key=True),
    Column("app_id", Text, nullable=False),
    Column("device_id", String(36), nullable=False),
    Column("version_name", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("plugin_version", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False, index=True),
)
