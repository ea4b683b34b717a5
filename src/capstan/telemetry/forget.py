"""Erasing what telemetry knows of one device, for a person who asks for it; the counters stay.

What the erased rows had counted for is added to `forgotten_counts` in the same transaction, so that the counters can
still be checked against the log. Downloads stay without the device, as those of delta files are kept anyway. Everything
goes in slices of some ten milliseconds, so that no event waits longer than that.

A server that runs goes on to write what the device sends from then on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

from sqlalchemy import (
    ColumnElement,
    Connection,
    Delete,
    Engine,
    Table,
    Update,
    delete,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from capstan.telemetry.days import utc_day
from capstan.telemetry.reconcile import apps_in
from capstan.telemetry.tables import (
    bandwidth_usage,
    device_days,
    devices,
    events,
    failed_bundles,
    forgotten_counts,
    monthly_devices,
    unknown_app_events,
)
from capstan.telemetry.writing import writing

SLICE = 500

DeviceKey: TypeAlias = tuple[str, str]
"""App id and device id."""

Counted: TypeAlias = tuple[date, str, str]
"""Day, counter and subject, as `reconcile.Count` has them."""

_BY_APP = (devices, events, monthly_devices, device_days, failed_bundles)


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """How many rows went. `downloads` are still there, without the device."""

    devices: int
    events: int
    active_days: int
    failed_bundles: int
    downloads: int
    unknown_app_events: int

    @property
    def total(self) -> int:
        return sum(astuple(self))


def forget_device(engine: Engine, device_id: str, app_id: str | None = None) -> Erased:
    """Erase a device (its id in lower case) from an app, or from all of them. Doing it twice does no harm."""
    app_ids = apps_with_devices(engine) if app_id is None else [app_id]
    return Erased(
        devices=sum(_delete(engine, devices, one, device_id) for one in app_ids),
        events=sum(_forget_events(engine, one, device_id) for one in app_ids),
        active_days=sum(_forget_activity(engine, one, device_id) for one in app_ids),
        failed_bundles=sum(_delete(engine, failed_bundles, one, device_id) for one in app_ids),
        downloads=_detach_downloads(engine, device_id, app_id),
        unknown_app_events=_forget_unknown(engine, device_id, app_id),
    )


def apps_with_devices(engine: Engine) -> list[str]:
    """Every app of which telemetry has rows of single devices."""
    with engine.connect() as connection:
        return sorted({app_id for table in _BY_APP for app_id in apps_in(connection, table)})


def clear_custom_ids(engine: Engine, after: DeviceKey, limit: int) -> tuple[int, DeviceKey] | None:
    """Remove the custom ids of up to `limit` devices that follow `after`; how many, and the last one. None: no more."""
    key = tuple_(devices.c.app_id, devices.c.device_id)
    named = select(devices.c.app_id, devices.c.device_id).where(devices.c.custom_id != "", key > after)
    with engine.connect() as connection:
        some = named.order_by(devices.c.app_id, devices.c.device_id).limit(limit)
        found = [(app_id, device_id) for app_id, device_id in connection.execute(some)]
    if not found:
        return None
    with writing(engine) as connection:
        connection.execute(update(devices).where(key.in_(found)).values(custom_id=""))
    return len(found), found[-1]


def _delete(engine: Engine, table: Table, app_id: str, device_id: str) -> int:
    with writing(engine) as connection:
        return connection.execute(delete(table).where(*_of(table, app_id, device_id))).rowcount


def _forget_events(engine: Engine, app_id: str, device_id: str) -> int:
    forgotten = 0
    log = events.c
    columns = (log.id, log.created_at, log.usage, log.usage_version, log.unoffered)
    some = select(*columns).where(*_of(events, app_id, device_id)).limit(SLICE)
    while True:
        with writing(engine) as connection:
            rows = connection.execute(some).all()
            if not rows:
                return forgotten
            _keep_counts(connection, app_id, _counted_events(rows))
            connection.execute(delete(events).where(log.id.in_([row[0] for row in rows])))
        forgotten += len(rows)


def _counted_events(rows: Iterable[Sequence[Any]]) -> Counter[Counted]:
    counted: Counter[Counted] = Counter()
    for _, created_at, usage, version, unoffered in rows:
        if usage is not None:
            day = date.fromisoformat(utc_day(created_at))
            counted[day, usage, version] += 1
            counted[day, "unoffered", version] += unoffered
    return counted


def _forget_activity(engine: Engine, app_id: str, device_id: str) -> int:
    with writing(engine) as connection:
        # The rows' keys are app, day, device: with every day in the question they are found without a search.
        days = _days(connection, device_days, device_days.c.date, app_id)
        months = [day for day in _days(connection, monthly_devices, monthly_devices.c.month, app_id) if day.day == 1]
        of_days = (*_of(device_days, app_id, device_id), device_days.c.date.in_(days))
        of_months = (*_of(monthly_devices, app_id, device_id), monthly_devices.c.month.in_(months))
        active = connection.execute(select(device_days).where(*of_days)).all()
        firsts = connection.execute(select(monthly_devices.c.first_day).where(*of_months)).scalars().all()
        counted: Counter[Counted] = Counter((day, "mau", "") for day in firsts)
        counted.update((row.date, "native", f"{row.platform} {row.version_build}") for row in active)
        _keep_counts(connection, app_id, counted)
        connection.execute(delete(device_days).where(*of_days))
        connection.execute(delete(monthly_devices).where(*of_months))
    return len(active)


def _days(connection: Connection, table: Table, column: ColumnElement[date], app_id: str) -> list[date]:
    """Every day from an app's first to its last in a table."""
    span = select(func.min(column), func.max(column)).where(table.c.app_id == app_id)
    first, last = connection.execute(span).one()
    return [first + timedelta(days=number) for number in range((last - first).days + 1)] if first is not None else []


def _keep_counts(connection: Connection, app_id: str, counted: Counter[Counted]) -> None:
    rows = [
        {"app_id": app_id, "date": day, "counter": counter, "subject": subject, "amount": amount}
        for (day, counter, subject), amount in sorted(counted.items())
        if amount
    ]
    if rows:
        # PostgreSQL's statement: SQLite took the same words for it, and SQLAlchemy writes it for both.
        new = insert_or_update(forgotten_counts)
        raised = new.on_conflict_do_update(
            index_elements=list(forgotten_counts.primary_key.columns),
            set_={"amount": forgotten_counts.c.amount + new.excluded.amount},
        )
        connection.execute(raised, rows)


def _detach_downloads(engine: Engine, device_id: str, app_id: str | None) -> int:
    return sum(
        _change(engine, update(bandwidth_usage).where(bandwidth_usage.c.id.in_(ids)).values(device_id=None))
        for ids in _slices(engine, bandwidth_usage, device_id, app_id)
    )


def _forget_unknown(engine: Engine, device_id: str, app_id: str | None) -> int:
    return sum(
        _change(engine, delete(unknown_app_events).where(unknown_app_events.c.id.in_(ids)))
        for ids in _slices(engine, unknown_app_events, device_id, app_id)
    )


def _slices(engine: Engine, log: Table, device_id: str, app_id: str | None) -> list[list[int]]:
    """The ids of a device's rows in a log that is not ordered by device: it is read whole, once."""
    own = select(log.c.id).where(log.c.device_id == device_id)
    with engine.connect() as connection:
        ids = connection.execute(own if app_id is None else own.where(log.c.app_id == app_id)).scalars().all()
    return [list(ids[start : start + SLICE]) for start in range(0, len(ids), SLICE)]


def _change(engine: Engine, statement: Update | Delete) -> int:
    with writing(engine) as connection:
        return connection.execute(statement).rowcount


def _of(table: Table, app_id: str, device_id: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return table.c.app_id == app_id, table.c.device_id == device_id
