"""Removing what is old from telemetry, in slices that no event waits long for; and which bundles are still run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from itertools import groupby
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, Engine, Table, and_, delete, select, tuple_

from capstan.telemetry.tables import (
    bandwidth_usage,
    device_days,
    devices,
    event_stamps,
    events,
    failed_bundles,
    monthly_devices,
    unknown_app_events,
)
from capstan.telemetry.writing import writing

DeviceKey: TypeAlias = tuple[str, str]
"""App id and device id."""

LOGS: Mapping[str, Table] = {
    "events": events,
    "unknown_app_events": unknown_app_events,
    "downloads": bandwidth_usage,
}
"""Tables that grow at their end: by `id`, and so by `created_at` (epoch milliseconds)."""


def running_versions(engine: Engine, app_id: str, seen_since: date) -> frozenset[str]:
    """The bundles, by name, that devices of an app run which were seen on that day or later."""
    running = select(devices.c.running_version).where(
        devices.c.app_id == app_id, devices.c.last_seen_on >= seen_since, devices.c.running_version.is_not(None)
    )
    with engine.connect() as connection:
        return frozenset(connection.execute(running.distinct()).scalars())


def rows_after(engine: Engine, log: Table, after_id: int, limit: int) -> list[tuple[int, int]]:
    """Ids and moments of a log's rows, in the order of ids."""
    some = select(log.c.id, log.c.created_at).where(log.c.id > after_id).order_by(log.c.id).limit(limit)
    with engine.connect() as connection:
        return [(row.id, row.created_at) for row in connection.execute(some)]


def delete_rows(engine: Engine, log: Table, first_id: int, last_id: int, before_ms: int) -> int:
    """Remove the rows between two ids that are older than a moment; how many there were."""
    with writing(engine) as connection:
        old = delete(log).where(log.c.id.between(first_id, last_id), log.c.created_at < before_ms)
        return connection.execute(old).rowcount


def silent_devices(engine: Engine, silent_since: date, after: DeviceKey, limit: int) -> list[DeviceKey]:
    """Devices that were seen last before that day, by app and id."""
    key = tuple_(devices.c.app_id, devices.c.device_id)
    silent = select(devices.c.app_id, devices.c.device_id).where(devices.c.last_seen_on < silent_since, key > after)
    with engine.connect() as connection:
        rows = connection.execute(silent.order_by(devices.c.app_id, devices.c.device_id).limit(limit))
        return [(row.app_id, row.device_id) for row in rows]


def delete_devices(engine: Engine, keys: Sequence[DeviceKey], silent_since: date) -> int:
    """Remove these devices, unless one was seen since; how many there were."""
    removed = 0
    with writing(engine) as connection:
        for app_id, some in groupby(keys, lambda key: key[0]):
            silent = (
                devices.c.app_id == app_id,
                devices.c.device_id.in_([device_id for _, device_id in some]),
                devices.c.last_seen_on < silent_since,
            )
            removed += connection.execute(delete(devices).where(*silent)).rowcount
    return removed


def known_devices(engine: Engine, keys: Sequence[DeviceKey]) -> set[DeviceKey]:
    """Those of the devices that have a row."""
    known: set[DeviceKey] = set()
    with engine.connect() as connection:
        for app_id, some in groupby(keys, lambda key: key[0]):
            ids = [device_id for _, device_id in some]
            present = select(devices.c.device_id).where(devices.c.app_id == app_id, devices.c.device_id.in_(ids))
            known.update((app_id, device_id) for device_id in connection.execute(present).scalars())
    return known


def delete_stamps(engine: Engine, before_hour: int, limit: int) -> int:
    """Forget stamps of events that came before an epoch hour, up to `limit` of them; how many there were."""
    old = select(event_stamps.c.stamp).where(event_stamps.c.hour < before_hour).limit(limit)
    with writing(engine) as connection:
        return connection.execute(delete(event_stamps).where(event_stamps.c.stamp.in_(old))).rowcount


def delete_failures(engine: Engine, before_ms: int, limit: int) -> int:
    """Forget failures of bundles on devices, up to `limit` of them; how many there were."""
    return _delete_some(engine, failed_bundles, failed_bundles.c.failed_at < before_ms, limit)


FirstSeen: TypeAlias = tuple[Table, str]
"""A table whose rows only serve to count a device once a day or month, and an app."""

_FIRST_SEEN: Mapping[Table, str] = {device_days: "date", monthly_devices: "month"}


def first_seen_before(engine: Engine, before: date) -> list[FirstSeen]:
    """Where there are first-seen rows of days, or of whole months, before a day."""
    with engine.connect() as connection:
        return [
            (table, app_id)
            for table, column in _FIRST_SEEN.items()
            for app_id, oldest in _oldest_by_app(connection, table, column)
            if oldest < _start(column, before)
        ]


def delete_first_seen(engine: Engine, where: FirstSeen, before: date, limit: int) -> int:
    """Remove up to `limit` of these rows; how many there were."""
    table, app_id = where
    column = _FIRST_SEEN[table]
    old = and_(table.c.app_id == app_id, table.c[column] < _start(column, before))
    return _delete_some(engine, table, old, limit)


def _start(column: str, day: date) -> date:
    return day.replace(day=1) if column == "month" else day


def _oldest_by_app(connection: Connection, table: Table, column: str) -> Iterator[tuple[str, date]]:
    """Each app with its oldest day. The key begins with the two, so each app costs one look."""
    oldest = select(table.c.app_id, table.c[column]).order_by(table.c.app_id, table.c[column]).limit(1)
    row = connection.execute(oldest).first()
    while row is not None:
        yield row[0], row[1]
        row = connection.execute(oldest.where(table.c.app_id > row[0])).first()


def _delete_some(engine: Engine, table: Table, old: ColumnElement[bool], limit: int) -> int:
    key = tuple(table.primary_key.columns)
    some = select(*key).where(old).limit(limit)
    with writing(engine) as connection:
        return connection.execute(delete(table).where(tuple_(*key).in_(some))).rowcount
