"""The few statements that store a batch: what they say, once for both dialects, and how each dialect takes many rows.

Rows go in by the hundred with one execution, done outside Python's interpreter lock: SQLite takes them as bound values,
PostgreSQL as one JSON array. `on conflict` makes each statement idempotent where its table has a natural key, and
`returning` names the rows that were really new, from which the day counters are raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from sqlalchemy import BigInteger, Boolean, Date, Integer

from capstan.telemetry.records import (
    BANDWIDTH_COLUMNS,
    DEVICE_COLUMNS,
    EVENT_COLUMNS,
    FAILED_COLUMNS,
    KEPT_WHEN_ABSENT,
    UNKNOWN_APP_COLUMNS,
    VERSION_COUNTERS,
)
from capstan.telemetry.tables import OFFERS, telemetry

_COMPARED = (
    "version_name",
    "running_version",
    "offered_version",
    "platform",
    "plugin_version",
    "os_version",
    "version_build",
    "custom_id",
    "is_prod",
    "is_emulator",
    "install_source",
    "default_channel",
    "key_id",
    "country_code",
)


@dataclass(frozen=True)
class Insert:
    """An insert of many rows. `tail` says what happens on a conflict and what is returned."""

    table: str
    columns: tuple[str, ...]
    tail: str = ""

    @property
    def head(self) -> str:
        names = ", ".join(f'"{name}"' for name in self.columns)
        return f"insert into {self.table} ({names})"


@dataclass(frozen=True)
class Lookup:
    """Those of many keys (columns of `table`) for which `condition` holds; it knows the key as `asked`."""

    table: str
    columns: tuple[str, ...]
    condition: str

    @property
    def head(self) -> str:
        return f"with asked ({', '.join(self.columns)}) as ("

    @property
    def tail(self) -> str:
        return f") select {', '.join(self.columns)} from asked where {self.condition}"


Statement: TypeAlias = Insert | Lookup


@lru_cache(maxsize=256)
def for_sqlite(statement: Statement, rows: int) -> str:
    """The statement for exactly this many rows of bound values."""
    places = f"({', '.join('?' * len(statement.columns))})"
    return f"{statement.head} values {', '.join([places] * rows)} {statement.tail}"


@lru_cache(maxsize=32)
def for_postgresql(statement: Statement) -> str:
    """The statement for any number of rows in one JSON parameter."""
    types = [_sql_type(statement.table, column) for column in statement.columns]
    values = ", ".join(f"cast(value ->> {index} as {kind})" for index, kind in enumerate(types))
    rows = "json_array_elements(cast(%s as json)) as source(value)"
    return f"{statement.head} select {values} from {rows} {statement.tail}"


def _sql_type(table: str, column: str) -> str:
    kind = telemetry.tables[table].c[column].type
    if isinstance(kind, Boolean):
        return "boolean"
    if isinstance(kind, Date):
        return "date"
    return "bigint" if isinstance(kind, BigInteger | Integer) else "text"


def _device_tail() -> str:
    news = {name: _new_value(name) for name in DEVICE_COLUMNS}
    new_row = ", ".join(news[name] for name in _COMPARED)
    old_row = ", ".join(f"devices.{name}" for name in _COMPARED)
    changed = f"({new_row}) is distinct from ({old_row})"
    assigned = ", ".join(f"{name} = {news[name]}" for name in (*_COMPARED, "offered_at", "last_seen_on"))
    return (
        f"on conflict (app_id, device_id) do update set {assigned},"
        f" updated_at = case when {changed} then excluded.updated_at else devices.updated_at end"
        f" where {changed} or excluded.last_seen_on is distinct from devices.last_seen_on"
    )


def _new_value(name: str) -> str:
    if name == "custom_id":
        return "coalesce(nullif(excluded.custom_id, ''), devices.custom_id)"
    if name in KEPT_WHEN_ABSENT:
        return f"coalesce(excluded.{name}, devices.{name})"
    return f"excluded.{name}"


def _raise(table: str, keys: tuple[str, ...], counters: tuple[str, ...]) -> Insert:
    raised = ", ".join(f'"{name}" = {table}."{name}" + excluded."{name}"' for name in counters)
    return Insert(table, (*keys, *counters), f"on conflict ({', '.join(keys)}) do update set {raised}")


DEVICES = Insert("devices", DEVICE_COLUMNS, _device_tail())
EVENTS = Insert("events", EVENT_COLUMNS)
INSTALLS = Insert("events", (*EVENT_COLUMNS, "unoffered"))
OFFERED = Lookup(
    "events",
    ("app_id", "device_id", "usage_version"),
    f"exists (select 1 from events where {OFFERS} and events.app_id = asked.app_id"
    " and events.device_id = asked.device_id and events.usage_version = asked.usage_version)",
)
HOURLY_EVENTS = Insert(
    "events",
    EVENT_COLUMNS,
    "on conflict (app_id, device_id, action, version_name, hour) where hour is not null"
    " do update set count = events.count + excluded.count",
)
STAMPS = Insert("event_stamps", ("stamp", "hour"), "on conflict do nothing returning stamp")
UNKNOWN_APPS = Insert("unknown_app_events", UNKNOWN_APP_COLUMNS)
FIRST_OF_MONTH = Insert(
    "monthly_devices",
    ("app_id", "month", "device_id", "first_day"),
    "on conflict do nothing returning app_id, first_day",
)
FIRST_OF_DAY = Insert(
    "device_days",
    ("app_id", "date", "device_id", "platform", "version_build"),
    "on conflict do nothing returning app_id, date, platform, version_build",
)
RAISE_MAU = _raise("daily_mau", ("app_id", "date"), ("mau",))
RAISE_NATIVE = _raise("daily_native", ("app_id", "date", "platform", "version_build"), ("devices",))
RAISE_VERSIONS = _raise("daily_version", ("app_id", "date", "version_name"), VERSION_COUNTERS)
BANDWIDTH = Insert("bandwidth_usage", BANDWIDTH_COLUMNS)
RAISE_BANDWIDTH = _raise("daily_bandwidth", ("app_id", "date"), ("bandwidth", "downloads"))
RAISE_MISSING = _raise("daily_missing", ("app_id", "date"), ("requests",))
FAILED_BUNDLES = Insert(
    "failed_bundles",
    FAILED_COLUMNS,
    "on conflict (app_id, device_id, bundle_id) do update set failed_at = excluded.failed_at",
)
