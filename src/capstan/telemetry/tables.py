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

OUTCOMES = "usage in ('install', 'fail')"
"""The rows of the log that say how the installation of a bundle went; the predicate of an index."""

TROUBLE = (
    "action in ('app_crash', 'app_crash_native', 'app_anr', 'app_launch_timeout', 'app_initialization_failure',"
    " 'webview_render_process_gone', 'webview_content_process_terminated', 'webview_unclean_restart')"
)
"""The rows by which a device says that the app it runs broke down; the predicate of an index."""

OFFERS = "usage = 'get'"
"""The rows of the log that say which bundle was offered to a device; the predicate of an index."""

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
    # An install of which the log had no offer to that device when it came.
    Column("unoffered", Boolean, nullable=False, server_default=false()),
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
    Column("unoffered", BigInteger, nullable=False, server_default=text("0")),
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

# What downloads have sent, kept so that the day's counter can be reckoned anew. Without a device id, for URLs of delta
# files name none. One row may stand for several downloads of one device.
bandwidth_usage = Table(
    "bandwidth_usage",
    telemetry,
    Column("id", RowId, primary_key=True),
    Column("app_id", Text, nullable=False),
    Column("device_id", String(36)),
    Column("created_at", BigInteger, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("downloads", Integer, nullable=False),
    Index("ix_bandwidth_usage_app_created", "app_id", "created_at"),
)

daily_bandwidth = Table(
    "daily_bandwidth",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("bandwidth", BigInteger, nullable=False),
    Column("downloads", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Downloads of objects that are not there (contract: device 4.8), shown to the operator.
daily_missing = Table(
    "daily_missing",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What auto-pause reads of the log, every few seconds and over days: installs and failures, and signs of trouble.
Index(
    "ix_events_outcomes",
    events.c.app_id,
    events.c.usage_version,
    events.c.channel_id,
    events.c.created_at,
    events.c.usage,
    sqlite_where=text(OUTCOMES),
    postgresql_where=text(OUTCOMES),
)
Index(
    "ix_events_trouble",
    events.c.app_id,
    events.c.version_name,
    events.c.created_at,
    sqlite_where=text(TROUBLE),
    postgresql_where=text(TROUBLE),
)

# Bundles that could not be applied on a device, so that it is not offered them again for a while.
failed_bundles = Table(
    "failed_bundles",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("device_id", String(36), primary_key=True),
    Column("bundle_id", BigInteger, primary_key=True, autoincrement=False),
    Column("failed_at", BigInteger, nullable=False, index=True),
    sqlite_with_rowid=False,
)

Index(
    "ix_events_offers",
    events.c.app_id,
    events.c.device_id,
    events.c.usage_version,
    sqlite_where=text(OFFERS),
    postgresql_where=text(OFFERS),
)

# What rows that were forgotten on request had counted for, so that counters can be reckoned anew without them: the
# counter, what it is of (a version, or platform and native version), and how much. Nothing of a device is left in it.
forgotten_counts = Table(
    "forgotten_counts",
    telemetry,
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("counter", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
