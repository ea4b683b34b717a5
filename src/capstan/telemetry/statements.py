"""The few statements that store a batch: what they say, once for both dialects, and how each dialect takes many rows.

Rows go in by the hundred with one execution, done outside Python's interpreter lock: SQLite takes them as bound values,
PostgreSQL as one JSON array. `on conflict` makes each statement idempotent where its table has a natural key, and
`returning` names the rows that were really new, from which the day counters are raised.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import BigInteger, Boolean, Date, Integer

from capstan.telemetry.records import (
    DEVICE_COLUMNS,
    EVENT_COLUMNS,
    KEPT_WHEN_ABSENT,
    UNKNOWN_APP_COLUMNS,
    USAGES,
)
from capstan.telemetry.tables import telemetry

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


@lru_cache(maxsize=256)
def for_sqlite(insert: Insert, rows: int) -> str:
    """The statement for exactly this many rows of bound values."""
    places = f"({', '.join('?' * len(insert.columns))})"
    return f"{insert.head} values {', '.join([places] * rows)} {insert.tail}"


@lru_cache(maxsize=32)
def for_postgresql(insert: Insert) -> str:
    """The statement for any number of rows in one JSON parameter."""
    values = ", ".join(f"cast(value ->> {index} as {_sql_type(insert, index)})" for index in range(len(insert.columns)))
    return f"{insert.head} select {values} from json_array_elements(cast(%s as json)) as source(value) {insert.tail}"


def _sql_type(insert: Insert, index: int) -> str:
    kind = telemetry.tables[insert.table].c[insert.columns[index]].type
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
RAISE_VERSIONS = _raise("daily_version", ("app_id", "date", "version_name"), USAGES)
