"""The directory over a PostgreSQL registry: reads run on threads, changes arrive as notifications.

Only control-plane commits notify. Beside that a poll compares the marks of all loaded apps each second, so whatever a
lost connection hides is known a second later. Never `sequence > last seen`: a transaction that commits late would be
missed.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from capstan.db.engine import CONNECT_SECONDS, connect_for_device
from capstan.db.session import CHANGE_CHANNEL
from capstan.outages import Outage
from capstan.updates import store
from capstan.updates.directory import BundleRef, Entries, Entry, RegistryUnavailableError, unreadable_registry
from capstan.updates.snapshot import NO_STATE, DeviceState, ManifestFile

POLL_SECONDS = 1.0
UNKNOWN_FOR_SECONDS = 0.5
MAX_UNKNOWN = 10_000
MAX_GATHERED = 200

T = TypeVar("T")
log = structlog.get_logger(__name__)


class PostgresDirectory:
    """Used on one event loop. `listen_to` is a direct connection string, `stale_for` in seconds."""

    def __init__(self, engine: Engine, listen_to: str, stale_for: float) -> None:
        self._engine = engine
        self._listen_to = listen_to
        self._stale_for = stale_for
        self._entries = Entries()
        self._checked = 0
        self._stale: set[str] = set()
        self._unknown: dict[str, float] = {}
        self._loading: dict[str, asyncio.Task[Entry | None]] = {}
        self._waiting: dict[store.DeviceKey, list[asyncio.Future[DeviceState]]] = {}
        self._gathering: asyncio.Task[None] | None = None
        self._stopping = threading.Event()
        self._outage = unreadable_registry(log)
        self._deafness = Outage(log, "not listening for changes; the poll goes on", "listening for changes again")

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._poller = asyncio.create_task(self._poll())
        self._listener = threading.Thread(target=self._listen, name="registry-listener", daemon=True)
        self._listener.start()

    async def stop(self) -> None:
        self._stopping.set()
        self._poller.cancel()
        with suppress(asyncio.CancelledError):
            await self._poller
        await asyncio.to_thread(self._listener.join)

    def peek(self, app_id: str) -> Entry | None:
        entry = self._entries.get(app_id)
        return entry if entry is not None and app_id not in self._stale else None

    async def app(self, app_id: str) -> Entry | None:
        entry = self.peek(app_id)
        if entry is not None:
            return entry
        if self._unknown.get(app_id, 0.0) > time.monotonic():
            return None
        task = self._loading.get(app_id)
        if task is None:
            task = self._loading[app_id] = asyncio.create_task(self._load(app_id))
            task.add_done_callback(lambda _: self._loading.pop(app_id, None))
        return await asyncio.shield(task)

    async def device_state(self, app_id: str, device_id: str) -> DeviceState:
        waiter: asyncio.Future[DeviceState] = self._loop.create_future()
        self._waiting.setdefault((app_id, device_id), []).append(waiter)
        if self._gathering is None:
            self._gathering = asyncio.create_task(self._gather())
        return await waiter

    async def bundle(self, entry: Entry, name: str) -> BundleRef | None:
        if name not in entry.bundles:
            app_id = entry.snapshot.app_id
            entry.remember_bundle(name, await self.read(lambda query: store.find_bundle(query, app_id, name)))
        return entry.bundles[name]

    async def manifest(self, bundle_id: int) -> tuple[ManifestFile, ...]:
        return await self.read(lambda query: store.load_manifest(query, bundle_id))

    async def read(self, work: Callable[[store.Query], T]) -> T:
        def run() -> T:
            with connect_for_device(self._engine) as connection, connection.begin():

                def query(sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
                    return connection.exec_driver_sql(sql.replace("?", "%s"), tuple(parameters)).mappings().all()

                return work(query)

        try:
            result = await asyncio.to_thread(run)
        except (SQLAlchemyError, psycopg.Error) as error:
            self._outage.met(error)
            raise RegistryUnavailableError(str(error)) from error
        self._outage.over()
        return result

    def expire(self, app_id: str) -> None:
        self._changed(app_id)

    async def _load(self, app_id: str) -> Entry | None:
        # Cleared before the read: a notice that arrives during it makes the app stale once more.
        self._stale.discard(app_id)
        try:
            snapshot = await self.read(lambda query: store.load_app(query, app_id))
        except RegistryUnavailableError:
            entry = self._entries.get(app_id)
            self._stale.add(app_id)
            if entry is None or time.monotonic() - entry.verified_at > self._stale_for:
                raise
            return entry
        if snapshot is None:
            self._entries.drop(app_id)
            self._remember_unknown(app_id)
            return None
        return self._entries.put(app_id, Entry(snapshot, self._checked, time.monotonic()))

    def _remember_unknown(self, app_id: str) -> None:
        if len(self._unknown) >= MAX_UNKNOWN:
            self._unknown.clear()
        self._unknown[app_id] = time.monotonic() + UNKNOWN_FOR_SECONDS

    async def _gather(self) -> None:
        """One query in flight answers everybody who waited while the last one ran."""
        try:
            while self._waiting:
                keys = list(self._waiting)[:MAX_GATHERED]
                waiters = {key: self._waiting.pop(key) for key in keys}
                await self._answer(waiters)
        finally:
            self._gathering = None

    async def _answer(self, waiters: dict[store.DeviceKey, list[asyncio.Future[DeviceState]]]) -> None:
        futures = [(key, future) for key, futures in waiters.items() for future in futures]
        try:
            states = await self.read(lambda query: store.load_device_states(query, list(waiters)))
        except RegistryUnavailableError as error:
            for _, future in futures:
                if not future.done():
                    future.set_exception(error)
            return
        for key, future in futures:
            if not future.done():
                future.set_result(states.get(key, NO_STATE))

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            app_ids = self._entries.app_ids()
            for start in range(0, len(app_ids), 1000):
                some = app_ids[start : start + 1000]
                try:
                    await self._compare(some)
                except RegistryUnavailableError:
                    self._expire_unverified(some)

    async def _compare(self, app_ids: list[str]) -> None:
        present = await self.read(lambda query: store.marks(query, app_ids))
        now = time.monotonic()
        for app_id in app_ids:
            entry = self._entries.get(app_id)
            if entry is None:
                continue
            if present.get(app_id) == store.mark_of(entry.snapshot):
                entry.verified_at = now
            else:
                self._stale.add(app_id)

    def _expire_unverified(self, app_ids: list[str]) -> None:
        """No snapshot stands in for longer than `stale_for`."""
        oldest = time.monotonic() - self._stale_for
        for app_id in app_ids:
            entry = self._entries.get(app_id)
            if entry is not None and entry.verified_at < oldest:
                self._stale.add(app_id)

    def _changed(self, app_id: str) -> None:
        self._unknown.pop(app_id, None)
        if self._entries.get(app_id) is not None or app_id in self._loading:
            self._stale.add(app_id)

    def _listen(self) -> None:
        while not self._stopping.is_set():
            try:
                with psycopg.connect(self._listen_to, autocommit=True, connect_timeout=CONNECT_SECONDS) as connection:
                    connection.execute(f"listen {CHANGE_CHANNEL}")
                    while not self._stopping.is_set():
                        self._deafness.over()
                        for notice in connection.notifies(timeout=0.5):
                            self._loop.call_soon_threadsafe(self._changed, notice.payload)
            except psycopg.Error as error:
                self._deafness.met(error)
                self._stopping.wait(POLL_SECONDS)
