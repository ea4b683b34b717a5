"""Telemetry counted twice: as its counters say, and from the rows for which they were raised. One app at most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, and_, func, select

from capstan.telemetry.records import USAGES
from capstan.telemetry.tables import (
    daily_mau,
    daily_native,
    daily_version,
    device_days,
    devices,
    events,
    monthly_devices,
)
from tests.journeys.ledger import SentEvent

_AT_ONCE = 500


def times_logged(engine: Engine, sent: Sequence[SentEvent]) -> Counter[SentEvent]:
    """How often each event is in the log."""
    by_device = {event.device_id: event for event in sent}
    found: Counter[SentEvent] = Counter()
    with engine.connect() as connection:
        for start in range(0, len(sent), _AT_ONCE):
            some = [event.device_id for event in sent[start : start + _AT_ONCE]]
            rows = connection.execute(select(events.c.device_id, events.c.action).where(events.c.device_id.in_(some)))
            for device_id, action in rows:
                assert action == by_device[device_id].action
                found[by_device[device_id]] += 1
    return found


def check_counters(engine: Engine) -> None:
    """The counters of each day agree with the log and the first-seen rows, and who is in the log is a known device."""
    with _one_state(engine) as connection:
        assert _counted_usage(connection) == _logged_usage(connection)
        month, day = monthly_devices.c, device_days.c
        assert _counts(connection, select(daily_mau.c.date, daily_mau.c.mau)) == _counts(
            connection, select(month.first_day, func.count()).group_by(month.first_day)
        )
        native = daily_native.c
        assert _counts(
            connection, select(native.date, native.platform, native.version_build, native.devices)
        ) == _counts(
            connection,
            select(day.date, day.platform, day.version_build, func.count()).group_by(
                day.date, day.platform, day.version_build
            ),
        )
        same = and_(devices.c.app_id == events.c.app_id, devices.c.device_id == events.c.device_id)
        unknown = select(events).outerjoin(devices, same).where(devices.c.device_id.is_(None))
        assert not connection.execute(unknown.where(~events.c.action.like("%fail"))).all()


@contextmanager
def _one_state(engine: Engine) -> Iterator[Connection]:
    """All that is read is of the same moment, though the server goes on writing; SQLite does that by itself."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ")
        yield connection


def _counted_usage(connection: Connection) -> dict[tuple[Any, ...], int]:
    rows = connection.execute(select(daily_version)).mappings()
    return {(row["date"], row["version_name"], usage): row[usage] for row in rows for usage in USAGES if row[usage]}


def _logged_usage(connection: Connection) -> dict[tuple[Any, ...], int]:
    rows = connection.execute(
        select(events.c.created_at, events.c.usage_version, events.c.usage).where(events.c.usage.is_not(None))
    )
    return Counter((datetime.fromtimestamp(at / 1000, UTC).date(), version, usage) for at, version, usage in rows)


def _counts(connection: Connection, statement: Select[Any]) -> dict[tuple[Any, ...], int]:
    return {tuple(row[:-1]): row[-1] for row in connection.execute(statement)}
