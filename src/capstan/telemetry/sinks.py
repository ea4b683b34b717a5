"""Where batches are committed: one class for each dialect, same statements, same meaning.

A sink belongs to the writer's thread. `store` commits one batch or raises, leaving nothing behind; it may be called
again after a failure, with a connection made anew.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psycopg

from capstan.db.engine import CONNECT_SECONDS, DEVICE_PATIENCE_MS, prepare_sqlite
from capstan.telemetry.days import HOUR_MS, utc_day
from capstan.telemetry.records import USAGES, VERSION_COUNTERS, BandwidthRow, Batch
from capstan.telemetry.statements import (
    BANDWIDTH,
    DEVICES,
    EVENTS,
    FAILED_BUNDLES,
    FIRST_OF_DAY,
    FIRST_OF_MONTH,
    HOURLY_EVENTS,
    INSTALLS,
    OFFERED,
    RAISE_BANDWIDTH,
    RAISE_MAU,
    RAISE_MISSING,
    RAISE_NATIVE,
    RAISE_VERSIONS,
    STAMPS,
    UNKNOWN_APPS,
    Insert,
    Statement,
    for_postgresql,
    for_sqlite,
)

Row = tuple[Any, ...]
Run = Callable[[Statement, Sequence[Row]], list[Row]]
"""Executes the statement for the rows and gives what it returns."""

_CHECKPOINT_RECORDS = 10_000
_ROWS_AT_ONCE = 64
_CACHE_KIB = 16_384
_BEGIN = b"begin; set local lock_timeout = %d" % DEVICE_PATIENCE_MS

_encode = msgspec.json.Encoder().encode


class Sink(Protocol):
    """The writer's end of a telemetry database."""

    def store(self, batch: Batch) -> None:
        """Commit the batch, durably."""

    def rest(self) -> None:
        """Do what must not delay an answer (checkpoints); called when nobody waits."""

    def close(self) -> None: ...


class SqliteSink:
    """Commits to a SQLite file. Writers of several processes queue on a file lock, which is fair and fast."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._connection: sqlite3.Connection | None = None
        self._since_checkpoint = 0

    def store(self, batch: Batch) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            connection = self._open()
            connection.execute("begin immediate")
            try:
                _store(batch, lambda statement, rows: _run_sqlite(connection, statement, rows))
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
        self._since_checkpoint += len(batch)

    def rest(self) -> None:
        if self._since_checkpoint >= _CHECKPOINT_RECORDS and self._connection is not None:
            self._since_checkpoint = 0
            self._connection.execute("pragma wal_checkpoint(passive)").fetchall()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        os.close(self._lock)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, check_same_thread=False)
            prepare_sqlite(connection)
            connection.execute(f"pragma busy_timeout = {DEVICE_PATIENCE_MS}")
            connection.execute("pragma wal_autocheckpoint = 0")
            connection.execute(f"pragma cache_size = -{_CACHE_KIB}")
            self._connection = connection
        return self._connection


class PostgresSink:
    """Commits to PostgreSQL. Rows are sorted by key, so that two writers lock them in one order."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection | None = None

    def store(self, batch: Batch) -> None:
        try:
            with self._begun().cursor() as cursor:

                def run(statement: Statement, rows: Sequence[Row]) -> list[Row]:
                    cursor.execute(for_postgresql(statement).encode(), (_encode(rows).decode(),))
                    return cursor.fetchall() if cursor.description else []

                _store(batch, run)
                cursor.execute("commit")
        except BaseException:
            # It rolls back, and another connection may lead to another server: this one may have become a standby.
            self.close()
            raise

    def rest(self) -> None:
        return

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _begun(self) -> psycopg.Connection:
        """The connection, in a transaction. One that was cut while nobody needed it is no failure."""
        if self._connection is not None:
            try:
                self._connection.execute(_BEGIN)
            except psycopg.Error:
                self.close()
            else:
                return self._connection
        self._connection = psycopg.connect(
            self._conninfo, autocommit=True, connect_timeout=CONNECT_SECONDS, application_name="capstan-telemetry"
        )
        self._connection.execute(_BEGIN)
        return self._connection


def _run_sqlite(connection: sqlite3.Connection, statement: Statement, rows: Sequence[Row]) -> list[Row]:
    """Full chunks, then the rest in powers of two: few distinct statements, so each stays prepared."""
    returned: list[Row] = []
    start = 0
    size = _ROWS_AT_ONCE
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        chunk = rows[start : start + size]
        cursor = connection.execute(for_sqlite(statement, size), tuple(chain.from_iterable(chunk)))
        if cursor.description is not None:
            returned += cursor.fetchall()
        start += size
    return returned


def _store(batch: Batch, run: Run) -> None:
    if batch.devices:
        run(DEVICES, [batch.devices[key] for key in sorted(batch.devices)])
    events = [*batch.events, *_first_time(batch, run)]
    if events:
        _store_events(events, run)
    if batch.hourly:
        run(HOURLY_EVENTS, [batch.hourly[key] for key in sorted(batch.hourly)])
    if batch.seen:
        _store_seen(batch, run)
    if batch.unknown_apps:
        run(UNKNOWN_APPS, batch.unknown_apps)
    if batch.bandwidth:
        _store_bandwidth(list(batch.bandwidth.values()), run)
    if batch.missing:
        run(RAISE_MISSING, [(*key, requests) for key, requests in sorted(batch.missing.items())])
    if batch.failed:
        _store_failed(batch, events, run)


def _first_time(batch: Batch, run: Run) -> list[Row]:
    """Rows of the stamped events that were not kept before."""
    if not batch.stamped:
        return []
    stamps = [(stamp, rows[0][5] // HOUR_MS) for stamp, rows in sorted(batch.stamped.items())]
    new = {stamp for (stamp,) in run(STAMPS, stamps)}
    return [row for stamp, rows in batch.stamped.items() if stamp in new for row in rows]


def _store_events(events: list[Row], run: Run) -> None:
    installs = [row for row in events if row[9] == "install"]
    others = [row for row in events if row[9] != "install"] if installs else events
    if others:
        run(EVENTS, others)
    # Last, so that an offer of the same batch is found.
    unoffered = _store_installs(installs, run) if installs else []
    versions = _usage_rows(events, unoffered)
    if versions:
        run(RAISE_VERSIONS, versions)


def _store_installs(installs: list[Row], run: Run) -> list[Row]:
    """Gives those of which the log has no offer."""
    keys = [(row[0], row[1], row[10]) for row in installs]
    offered = set(run(OFFERED, sorted(set(keys))))
    run(INSTALLS, [(*row, key not in offered) for row, key in zip(installs, keys, strict=True)])
    return [row for row, key in zip(installs, keys, strict=True) if key not in offered]


def _store_seen(batch: Batch, run: Run) -> None:
    seen = sorted(batch.seen)
    months = run(FIRST_OF_MONTH, [(app, month, device, day) for app, device, day, month, _, _ in seen])
    _raise(RAISE_MAU, months, run)
    days = run(FIRST_OF_DAY, [(app, day, device, platform, build) for app, device, day, _, platform, build in seen])
    _raise(RAISE_NATIVE, days, run)


def _store_failed(batch: Batch, events: Iterable[Row], run: Run) -> None:
    failed = {(row[0], row[1], batch.failed[row[:4]]): row[5] for row in events if row[:4] in batch.failed}
    if failed:
        run(FAILED_BUNDLES, [(*key, moment) for key, moment in sorted(failed.items())])


def _store_bandwidth(rows: list[BandwidthRow], run: Run) -> None:
    run(BANDWIDTH, rows)
    days: dict[tuple[str, str], tuple[int, int]] = {}
    for app_id, _, created_at, sent_bytes, downloads in rows:
        key = (app_id, utc_day(created_at))
        known_bytes, known_downloads = days.get(key, (0, 0))
        days[key] = (known_bytes + sent_bytes, known_downloads + downloads)
    run(RAISE_BANDWIDTH, [(*key, *counters) for key, counters in sorted(days.items())])


def _raise(insert: Insert, new_rows: list[Row], run: Run) -> None:
    if new_rows:
        counts = Counter(tuple(str(value) for value in row) for row in new_rows)
        run(insert, [(*key, count) for key, count in sorted(counts.items())])


def _usage_rows(events: Iterable[Row], unoffered: Iterable[Row]) -> list[Row]:
    counts: dict[tuple[str, str, str], list[int]] = {}
    for row in events:
        usage = row[9]
        if usage is not None:
            counters = counts.setdefault((row[0], utc_day(row[5]), row[10]), [0] * len(VERSION_COUNTERS))
            counters[USAGES.index(usage)] += 1
    for row in unoffered:
        counts[row[0], utc_day(row[5]), row[10]][-1] += 1
    return [(*key, *counters) for key, counters in sorted(counts.items())]
