"""Bundles that could not be applied on a device: who reads, counts and forgets them (written with the event's batch).

`after_ms` is always the moment (epoch milliseconds) up to which failures are forgotten.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from sqlalchemy import Engine, RowMapping, delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from capstan.db.engine import connect_for_device
from capstan.telemetry.tables import failed_bundles
from capstan.telemetry.writing import writing

DeviceKey: TypeAlias = tuple[str, str]
"""App id and device id."""

NONE_FAILED: frozenset[int] = frozenset()
MAX_GATHERED = 200

_OF_DEVICES = "select app_id, device_id, bundle_id from failed_bundles where failed_at > ? and ({keys})"
_KEY = "(app_id = ? and device_id = ?)"


class FailuresUnreadableError(Exception):
    """Telemetry cannot be read at the moment."""


class FailureReader(Protocol):
    """Reads one device's failures as they are now."""

    async def bundles(self, device: DeviceKey, after_ms: int) -> frozenset[int]:
        """The ids of the bundles that failed. Raises FailuresUnreadableError."""

    def close(self) -> None: ...


class SqliteFailureReader:
    """Reads inline, in microseconds. Used on one event loop."""

    def __init__(self, path: Path) -> None:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        self._connection.execute("pragma busy_timeout = 250")

    async def bundles(self, device: DeviceKey, after_ms: int) -> frozenset[int]:
        try:
            rows = self._connection.execute(_OF_DEVICES.format(keys=_KEY), (after_ms, *device)).fetchall()
        except sqlite3.Error as error:
            raise FailuresUnreadableError(str(error)) from error
        return frozenset(row[2] for row in rows)

    def close(self) -> None:
        self._connection.close()


class PostgresFailureReader:
    """One query in flight answers everybody who waited while the last one ran. Used on one event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._after_ms = 0
        self._waiting: dict[DeviceKey, list[asyncio.Future[frozenset[int]]]] = {}
        self._gathering: asyncio.Task[None] | None = None

    async def bundles(self, device: DeviceKey, after_ms: int) -> frozenset[int]:
        # Those who are answered together differ by milliseconds of days.
        self._after_ms = after_ms
        waiter: asyncio.Future[frozenset[int]] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(device, []).append(waiter)
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather())
        return await waiter

    def close(self) -> None:
        """Nothing is held: the engine is the process's."""

    async def _gather(self) -> None:
        try:
            while self._waiting:
                devices = list(self._waiting)[:MAX_GATHERED]
                await self._answer({device: self._waiting.pop(device) for device in devices})
        finally:
            self._gathering = None

    async def _answer(self, waiters: Mapping[DeviceKey, list[asyncio.Future[frozenset[int]]]]) -> None:
        futures = [(device, future) for device, some in waiters.items() for future in some]
        try:
            found = await asyncio.to_thread(_of_devices, self._engine, list(waiters), self._after_ms)
        except SQLAlchemyError as error:
            for _, future in futures:
                if not future.done():
                    future.set_exception(FailuresUnreadableError(str(error)))
            return
        for device, future in futures:
            if not future.done():
                future.set_result(found.get(device, NONE_FAILED))


def _of_devices(engine: Engine, devices: Sequence[DeviceKey], after_ms: int) -> dict[DeviceKey, frozenset[int]]:
    sql = _OF_DEVICES.format(keys=" or ".join([_KEY] * len(devices))).replace("?", "%s")
    found: defaultdict[DeviceKey, set[int]] = defaultdict(set)
    with connect_for_device(engine) as connection:
        for app_id, device_id, bundle_id in connection.exec_driver_sql(sql, _parameters(devices, after_ms)):
            found[app_id, device_id].add(bundle_id)
    return {device: frozenset(ids) for device, ids in found.items()}


def _parameters(devices: Sequence[DeviceKey], after_ms: int) -> tuple[Any, ...]:
    return (after_ms, *(part for device in devices for part in device))


def devices_failing_after(engine: Engine, after_ms: int) -> list[DeviceKey]:
    """The devices on which something failed since then; a device may be named more than once."""
    recent = select(failed_bundles.c.app_id, failed_bundles.c.device_id).where(failed_bundles.c.failed_at > after_ms)
    with connect_for_device(engine) as connection:
        return [(app_id, device_id) for app_id, device_id in connection.execute(recent)]


def of_device(engine: Engine, app_id: str, device_id: str, after_ms: int) -> Sequence[RowMapping]:
    """What failed on a device (`bundle_id`, `failed_at`), the last one first."""
    kept = select(failed_bundles).where(*_of(app_id, device_id), failed_bundles.c.failed_at > after_ms)
    with engine.connect() as connection:
        return connection.execute(kept.order_by(failed_bundles.c.failed_at.desc())).mappings().all()


def devices_by_bundle(engine: Engine, app_id: str, after_ms: int) -> dict[int, int]:
    """How many devices of an app are not offered a bundle any more because it failed on them, by the bundle's id."""
    counted = (
        select(failed_bundles.c.bundle_id, func.count().label("devices"))
        .where(failed_bundles.c.app_id == app_id, failed_bundles.c.failed_at > after_ms)
        .group_by(failed_bundles.c.bundle_id)
    )
    with engine.connect() as connection:
        return {row.bundle_id: row.devices for row in connection.execute(counted)}


def forgive(engine: Engine, app_id: str, device_id: str, bundle_id: int | None = None) -> int:
    """Forget what failed on a device, or one bundle of it; how many failures that were."""
    gone = delete(failed_bundles).where(*_of(app_id, device_id))
    if bundle_id is not None:
        gone = gone.where(failed_bundles.c.bundle_id == bundle_id)
    with writing(engine) as connection:
        return connection.execute(gone).rowcount


def _of(app_id: str, device_id: str) -> tuple[Any, Any]:
    return failed_bundles.c.app_id == app_id, failed_bundles.c.device_id == device_id
