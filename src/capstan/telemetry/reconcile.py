"""Counters against the rows that they were raised for: what one app's day comes to, counted both ways.

The rows are the event log, the first-seen rows and the downloads; rows that were forgotten on request left behind what
they had counted for. Each day is one statement, so that both ways see the same moment while a server writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    Text,
    func,
    literal,
    select,
    union_all,
)

from capstan.telemetry.days import DAY_MS
from capstan.telemetry.records import USAGES, VERSION_COUNTERS
from capstan.telemetry.tables import (
    bandwidth_usage,
    daily_bandwidth,
    daily_mau,
    daily_native,
    daily_version,
    device_days,
    events,
    forgotten_counts,
    monthly_devices,
)

_EPOCH = date(1970, 1, 1)
_NONE = literal(0, BigInteger)
_NO_SUBJECT = literal("", Text)
_COUNTERS = (daily_mau, daily_native, daily_version, daily_bandwidth)
_ROWS = (monthly_devices, device_days, events, bandwidth_usage, forgotten_counts)


@dataclass(frozen=True, slots=True)
class Count:
    """What a counter says of an app's day (`counted`), and what its rows come to (`logged`).

    `counter` is `mau`, `native`, `get`, `fail`, `install`, `uninstall`, `unoffered`, `bandwidth` (bytes) or
    `downloads`. `subject` is what it is of: a version, or platform and native version for `native`; else empty.
    """

    counter: str
    subject: str
    counted: int
    logged: int

    @property
    def agrees(self) -> bool:
        return self.counted == self.logged


def app_ids(engine: Engine) -> list[str]:
    """Every app that has counters or rows that count, deleted ones too."""
    with engine.connect() as connection:
        return sorted({app_id for table in (*_COUNTERS, *_ROWS) for app_id in apps_in(connection, table)})


def apps_in(connection: Connection, table: Table) -> Iterator[str]:
    """The apps that a table has rows of. A key of each table begins with the app, so each app costs one look."""
    first = select(func.min(table.c.app_id))
    app_id = connection.execute(first).scalar()
    while app_id is not None:
        yield app_id
        app_id = connection.execute(first.where(table.c.app_id > app_id)).scalar()


def counts(engine: Engine, app_id: str, day: date) -> list[Count]:
    """The counters of an app's day, by counter and subject; those that are 0 both ways may be left out."""
    parts = union_all(*_counted(app_id, day), *_logged(app_id, day)).subquery("parts")
    key = (parts.c.counter, parts.c.subject)
    sums = select(*key, func.sum(parts.c.counted), func.sum(parts.c.logged)).group_by(*key).order_by(*key)
    with engine.connect() as connection:
        rows = connection.execute(sums)
        return [Count(counter, subject, int(counted), int(logged)) for counter, subject, counted, logged in rows]


def _counted(app_id: str, day: date) -> Iterator[Select[Any]]:
    yield _counted_part("mau", _NO_SUBJECT, daily_mau.c.mau, daily_mau, app_id, day)
    yield _counted_part("native", _native(daily_native), daily_native.c.devices, daily_native, app_id, day)
    for counter in VERSION_COUNTERS:
        version = daily_version.c
        yield _counted_part(counter, version.version_name, version[counter], daily_version, app_id, day)
    for counter in ("bandwidth", "downloads"):
        yield _counted_part(counter, _NO_SUBJECT, daily_bandwidth.c[counter], daily_bandwidth, app_id, day)


def _counted_part(
    counter: str, subject: ColumnElement[Any], value: ColumnElement[Any], table: Table, app_id: str, day: date
) -> Select[Any]:
    return _part(literal(counter, Text), subject, value, _NONE).where(table.c.app_id == app_id, table.c.date == day)


def _logged(app_id: str, day: date) -> Iterator[Select[Any]]:
    month, of_day = monthly_devices.c, device_days.c
    yield _part(literal("mau", Text), _NO_SUBJECT, _NONE, func.count()).where(
        month.app_id == app_id, month.month == day.replace(day=1), month.first_day == day
    )
    yield (
        _part(literal("native", Text), _native(device_days), _NONE, func.count())
        .where(of_day.app_id == app_id, of_day.date == day)
        .group_by(of_day.platform, of_day.version_build)
    )
    log = events.c
    logged = (log.app_id == app_id, *_within(events, day))
    yield (
        _part(log.usage, log.usage_version, _NONE, func.count())
        .where(*logged, log.usage.in_(USAGES))
        .group_by(log.usage, log.usage_version)
    )
    yield (
        _part(literal("unoffered", Text), log.usage_version, _NONE, func.count())
        .where(*logged, log.unoffered)
        .group_by(log.usage_version)
    )
    downloads = (bandwidth_usage.c.app_id == app_id, *_within(bandwidth_usage, day))
    for counter, column in (("bandwidth", "bytes"), ("downloads", "downloads")):
        total = func.coalesce(func.sum(bandwidth_usage.c[column]), 0)
        yield _part(literal(counter, Text), _NO_SUBJECT, _NONE, total).where(*downloads)
    gone = forgotten_counts.c
    yield _part(gone.counter, gone.subject, _NONE, gone.amount).where(gone.app_id == app_id, gone.date == day)


def _part(
    counter: ColumnElement[Any], subject: ColumnElement[Any], counted: ColumnElement[Any], logged: ColumnElement[Any]
) -> Select[Any]:
    return select(counter.label("counter"), subject.label("subject"), counted.label("counted"), logged.label("logged"))


def _native(table: Table) -> ColumnElement[Any]:
    return table.c.platform + " " + table.c.version_build


def _within(table: Table, day: date) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    start_ms = (day - _EPOCH).days * DAY_MS
    return table.c.created_at >= start_ms, table.c.created_at < start_ms + DAY_MS
