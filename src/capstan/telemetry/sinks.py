"""Where batches are committed: one class for each dialect, same statements, same meaning.

A sink belongs to the writer's thread. `store` commits one batch or raises, leaving nothing behind; it may be called
again after a failure, with a connection made anew.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psycopg

from capstan.db.engine import prepare_sqlite
from capstan.telemetry.days import utc_day
from capstan.telemetry.records import USAGES, Batch
from capstan.telemetry.statements import Statements, statements

_CHECKPOINT_PAGES = 2_000
_encode = msgspec.json.Encoder().encode

Run = Callable[[str, bytes], list[tuple[Any, ...]]]
"""Executes one statement with its JSON rows and gives what it returns."""


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
        self._statements = statements("sqlite")

    def store(self, batch: Batch) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            connection = self._open()
            connection.execute("begin immediate")
            try:
                _store(self._statements, batch, lambda sql, rows: connection.execute(sql, (rows,)).fetchall())
                connection.execute("commit")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("rollback")
                raise
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def rest(self) -> None:
        wal = Path(f"{self._path}-wal")
        if self._connection is not None and wal.exists() and wal.stat().st_size > _CHECKPOINT_PAGES * 4096:
            self._connection.execute("pragma wal_checkpoint(passive)").fetchall()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        os.close(self._lock)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, check_same_thread=False)
            prepare_sqlite(connection)
            connection.execute("pragma wal_autocheckpoint = 0")
            self._connection = connection
        return self._connection


class PostgresSink:
    """Commits to PostgreSQL. Rows are sorted by key, so that two writers lock them in one order."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection | None = None
        self._statements = statements("postgresql")

    def store(self, batch: Batch) -> None:
        connection = self._open()
        try:
            with connection.transaction(), connection.cursor() as cursor:

                def run(sql: str, rows: bytes) -> list[tuple[Any, ...]]:
                    cursor.execute(sql.encode(), (rows.decode(),))
                    return cursor.fetchall() if cursor.description else []

                _store(self._statements, batch, run)
        except psycopg.OperationalError:
            self.close()
            raise

    def rest(self) -> None:
        return

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _open(self) -> psycopg.Connection:
        if self._connection is None:
            self._connection = psycopg.connect(
                self._conninfo, autocommit=True, connect_timeout=5, application_name="capstan-telemetry"
            )
        return self._connection


def _store(sql: Statements, batch: Batch, run: Run) -> None:
    if batch.devices:
        run(sql.devices, _rows(batch.devices[key] for key in sorted(batch.devices)))
    if batch.events:
        run(sql.events, _encode(batch.events))
    if batch.hourly:
        run(sql.hourly, _rows(batch.hourly[key] for key in sorted(batch.hourly)))
    if batch.seen:
        rows = _encode(sorted(batch.seen))
        _raise(sql.raise_mau, run(sql.months, rows), run)
        _raise(sql.raise_native, run(sql.days, rows), run)
    versions = _usage_rows(batch)
    if versions:
        run(sql.raise_versions, _encode(versions))


def _rows(rows: Iterable[tuple[Any, ...]]) -> bytes:
    return _encode(list(rows))


def _raise(statement: str, new_rows: list[tuple[Any, ...]], run: Run) -> None:
    if new_rows:
        counts = Counter(tuple(str(value) for value in row) for row in new_rows)
        run(statement, _encode([(*key, count) for key, count in sorted(counts.items())]))


def _usage_rows(batch: Batch) -> list[tuple[Any, ...]]:
    counts: dict[tuple[str, str, str], list[int]] = {}
    for row in batch.events:
        usage = row[9]
        if usage is not None:
            day = utc_day(row[5])
            counters = counts.setdefault((row[0], day, row[10]), [0] * len(USAGES))
            counters[USAGES.index(usage)] += 1
    return [(*key, *counters) for key, counters in sorted(counts.items())]
