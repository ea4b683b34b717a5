"""The directory over a SQLite registry: everything is read inline on the event loop, in microseconds.

`PRAGMA data_version` costs 3 to 10 µs and moves with every commit of any other connection, of this process or another.
It also moves for reasons that mean nothing, so a move only has each app's mark compared before its snapshot is used
again. It is asked once for all requests that the event loop has at hand: whatever was committed before one of them was
sent is in the answer.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import structlog

from capstan.updates import store
from capstan.updates.directory import BundleRef, Entries, Entry, RegistryUnavailableError, unreadable_registry
from capstan.updates.snapshot import NO_STATE, DeviceState, ManifestFile

T = TypeVar("T")
log = structlog.get_logger(__name__)


class SqliteDirectory:
    """Used on one event loop. `path` is the registry's file; `stale_for` in seconds."""

    def __init__(self, path: Path, stale_for: float) -> None:
        self._path = path
        self._stale_for = stale_for
        self._entries = Entries()
        self._data_version = -1
        self._checked = 0
        self._is_asked = False
        self._outage = unreadable_registry(log)

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        # Two connections: `data_version` only tells of others' commits while its own has no statement open.
        self._watch, self._reader = self._connect(), self._connect()
        self._reader.row_factory = sqlite3.Row
        self._data_version_now = self._watch.execute

    async def stop(self) -> None:
        self._watch.close()
        self._reader.close()

    def peek(self, app_id: str) -> Entry | None:
        if not self._is_asked and not self._ask():
            return None
        entry = self._entries.get(app_id)
        return entry if entry is not None and entry.checked == self._checked else None

    async def app(self, app_id: str) -> Entry | None:
        entry = self.peek(app_id)
        if entry is not None:
            return entry
        entry = self._entries.get(app_id)
        try:
            found = self._refresh(app_id, entry)
        except sqlite3.Error as error:
            return self._stand_in(entry, error)
        self._outage.over()
        return found

    async def device_state(self, app_id: str, device_id: str) -> DeviceState:
        key = (app_id, device_id)
        try:
            return store.load_device_states(self._query, (key,)).get(key, NO_STATE)
        except sqlite3.Error as error:
            raise RegistryUnavailableError(str(error)) from error

    async def bundle(self, entry: Entry, name: str) -> BundleRef | None:
        if name not in entry.bundles:
            try:
                entry.remember_bundle(name, store.find_bundle(self._query, entry.snapshot.app_id, name))
            except sqlite3.Error as error:
                raise RegistryUnavailableError(str(error)) from error
        return entry.bundles[name]

    async def manifest(self, bundle_id: int) -> tuple[ManifestFile, ...]:
        try:
            return store.load_manifest(self._query, bundle_id)
        except sqlite3.Error as error:
            raise RegistryUnavailableError(str(error)) from error

    async def read(self, work: Callable[[store.Query], T]) -> T:
        def run() -> T:
            with closing(self._connect()) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("begin")
                return work(lambda sql, parameters: connection.execute(sql, parameters).fetchall())

        try:
            return await asyncio.to_thread(run)
        except sqlite3.Error as error:
            raise RegistryUnavailableError(str(error)) from error

    def expire(self, app_id: str) -> None:  # noqa: ARG002 - the question is about the whole registry
        self._is_asked = False

    def _ask(self) -> bool:
        """Learn whether anything was committed since it was last asked; False if that cannot be known."""
        try:
            version = self._data_version_now("pragma data_version").fetchone()[0]
        except sqlite3.Error:
            return False
        if version != self._data_version:
            self._data_version = version
            self._checked += 1
        # The loop runs this before any request that it has not read yet.
        self._is_asked = True
        self._loop.call_soon(self._ask_again)
        return True

    def _ask_again(self) -> None:
        self._is_asked = False

    def _connect(self) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
        connection.execute("pragma busy_timeout = 250")
        return connection

    def _refresh(self, app_id: str, entry: Entry | None) -> Entry | None:
        checked, now = self._checked, time.monotonic()
        if entry is not None and store.mark(self._query, app_id) == store.mark_of(entry.snapshot):
            entry.checked, entry.verified_at = checked, now
            return entry
        self._reader.execute("begin")
        try:
            snapshot = store.load_app(self._query, app_id)
        finally:
            self._reader.execute("commit")
        if snapshot is None:
            self._entries.drop(app_id)
            return None
        return self._entries.put(app_id, Entry(snapshot, checked, now))

    def _stand_in(self, entry: Entry | None, error: sqlite3.Error) -> Entry:
        self._outage.met(error)
        if entry is None or time.monotonic() - entry.verified_at > self._stale_for:
            raise RegistryUnavailableError(str(error)) from error
        return entry

    def _query(self, sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        return self._reader.execute(sql, parameters).fetchall()
