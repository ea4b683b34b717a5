"""The few statements that store a batch, written once for both dialects.

Every statement takes one JSON array of rows as its only parameter: any number of rows is one execution, done outside
Python's interpreter lock. `on conflict` makes each of them idempotent where the table has a natural key, and
`returning` names the rows that were really new, from which the day counters are raised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Boolean, Date, Integer, Table

from capstan.telemetry.records import (
    DEVICE_COLUMNS,
    EVENT_COLUMNS,
    KEPT_WHEN_ABSENT,
    SEEN_COLUMNS,
    USAGES,
)
from capstan.telemetry.tables import devices, events

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
_NOT_NULL_TEXT = frozenset({"custom_id"})


@dataclass(frozen=True)
class Statements:
    """SQL text for one dialect; each has a single placeholder for the JSON rows."""

    devices: str
    events: str
    hourly: str
    months: str
    days: str
    raise_mau: str
    raise_native: str
    raise_versions: str


def statements(dialect: str) -> Statements:
    """The statements for "sqlite" or "postgresql"."""
    source = _Source(dialect)
    return Statements(
        devices=_upsert_devices(source),
        events=_insert_events(source),
        hourly=_insert_events(source) + _RAISE_HOURLY,
        months=_insert_first_seen(
            source,
            "monthly_devices (app_id, month, device_id, first_day)",
            ("app_id", "month", "device_id", "date"),
            returning="app_id, first_day",
        ),
        days=_insert_first_seen(
            source,
            "device_days (app_id, date, device_id, platform, version_build)",
            ("app_id", "date", "device_id", "platform", "version_build"),
            returning="app_id, date, platform, version_build",
        ),
        raise_mau=_raise(source, "daily_mau", ("app_id", "date"), ("mau",)),
        raise_native=_raise(source, "daily_native", ("app_id", "date", "platform", "version_build"), ("devices",)),
        raise_versions=_raise(source, "daily_version", ("app_id", "date", "version_name"), USAGES),
    )


class _Source:
    """How a dialect reads JSON rows: the `from` clause and one typed column."""

    def __init__(self, dialect: str) -> None:
        self.is_postgresql = dialect == "postgresql"
        if self.is_postgresql:
            self.rows = "json_array_elements(cast(%s as json)) as source(value)"
        else:
            self.rows = "json_each(?) as source"

    def column(self, index: int, sql_type: str = "text") -> str:
        plain = f"value ->> {index}"
        return f"cast({plain} as {sql_type})" if self.is_postgresql else plain

    def typed(self, index: int, table: Table, name: str) -> str:
        kind = table.c[name].type
        if isinstance(kind, Boolean):
            return self.column(index, "boolean")
        if isinstance(kind, Date):
            return self.column(index, "date")
        if isinstance(kind, BigInteger | Integer):
            return self.column(index, "bigint")
        return self.column(index)


def _upsert_devices(source: _Source) -> str:
    def value(index: int, name: str) -> str:
        column = source.typed(index, devices, name)
        return f"coalesce({column}, '')" if name in _NOT_NULL_TEXT else column

    values = ", ".join(value(index, name) for index, name in enumerate(DEVICE_COLUMNS))
    news = {name: _new_value(name) for name in DEVICE_COLUMNS}
    changed = " or ".join(f"{news[name]} is distinct from devices.{name}" for name in _COMPARED)
    assigned = ", ".join(f"{name} = {news[name]}" for name in (*_COMPARED, "offered_at", "last_seen_on"))
    return (
        f"insert into devices ({', '.join(DEVICE_COLUMNS)}) select {values} from {source.rows} where true"
        f" on conflict (app_id, device_id) do update set {assigned},"
        f" updated_at = case when {changed} then excluded.updated_at else devices.updated_at end"
        f" where {changed} or excluded.last_seen_on is distinct from devices.last_seen_on"
    )


def _new_value(name: str) -> str:
    if name in _NOT_NULL_TEXT:
        return f"coalesce(nullif(excluded.{name}, ''), devices.{name})"
    if name in KEPT_WHEN_ABSENT:
        return f"coalesce(excluded.{name}, devices.{name})"
    return f"excluded.{name}"


def _insert_events(source: _Source) -> str:
    values = ", ".join(source.typed(index, events, name) for index, name in enumerate(EVENT_COLUMNS))
    return f"insert into events ({', '.join(EVENT_COLUMNS)}) select {values} from {source.rows} where true"


_RAISE_HOURLY = (
    " on conflict (app_id, device_id, action, version_name, hour) where hour is not null"
    " do update set count = events.count + excluded.count"
)


def _insert_first_seen(source: _Source, target: str, names: Sequence[str], *, returning: str) -> str:
    columns = ", ".join(
        source.column(SEEN_COLUMNS.index(name), "date" if name in ("date", "month") else "text") for name in names
    )
    return (
        f"insert into {target} select distinct {columns} from {source.rows} where true"
        f" on conflict do nothing returning {returning}"
    )


def _raise(source: _Source, table: str, keys: Sequence[str], counters: Sequence[str]) -> str:
    columns = [
        *(source.column(index, "date" if name == "date" else "text") for index, name in enumerate(keys)),
        *(source.column(len(keys) + index, "bigint") for index in range(len(counters))),
    ]
    raised = ", ".join(f'"{name}" = {table}."{name}" + excluded."{name}"' for name in counters)
    names = ", ".join(f'"{name}"' for name in (*keys, *counters))
    return (
        f"insert into {table} ({names}) select {', '.join(columns)} from {source.rows} where true"
        f" on conflict ({', '.join(keys)}) do update set {raised}"
    )
