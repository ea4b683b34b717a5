"""Opening a database: SQLite files or PostgreSQL, with the promises that the rest of the house relies on.

SQLite runs in WAL mode with synchronous FULL (an answered write survives a power cut) and enforces references.
Transactions are begun explicitly: a read sees one state of the database, a write takes the lock at its start, so it
cannot fail half-way for want of it.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

BUSY_TIMEOUT_MS = 15_000
CONNECT_SECONDS = 5
DEVICE_PATIENCE_MS = 3_000
"""How long what a device waits for may wait itself, for a lock or for one statement: a device gives up after about ten
seconds (contract: device 7.1), and an event may have to wait for two batches."""


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file, as `open_engine` takes it."""
    return f"sqlite:///{path}"


def is_sqlite(url: str) -> bool:
    return make_url(url).get_backend_name() == "sqlite"


def open_engine(url: str, *, pool_size: int = 10) -> Engine:
    """Open a `sqlite:///file` or `postgresql://…` URL. Connections are made when first needed."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(url, pool_size=pool_size, max_overflow=pool_size)
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"application_name": "capstan", "connect_timeout": CONNECT_SECONDS},
    )
    event.listen(engine, "begin", _begin_postgresql)
    return engine


def connect_for_device(engine: Engine) -> Connection:
    """A connection on which no statement, or on SQLite no wait for the lock, takes longer than `DEVICE_PATIENCE_MS`."""
    return engine.connect().execution_options(capstan_patience_ms=DEVICE_PATIENCE_MS)


def prepare_sqlite(connection: sqlite3.Connection) -> None:
    """Set what every connection to one of our SQLite files must have."""
    connection.isolation_level = None
    connection.execute(f"pragma busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("pragma journal_mode = wal")
    connection.execute("pragma synchronous = full")
    connection.execute("pragma foreign_keys = on")


def _prepare_sqlite(connection: sqlite3.Connection, _record: Any) -> None:
    prepare_sqlite(connection)


def _begin_sqlite(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("capstan_writes", False):
        connection.exec_driver_sql(f"pragma busy_timeout = {options.get('capstan_patience_ms', BUSY_TIMEOUT_MS)}")
        connection.exec_driver_sql("begin immediate")
    else:
        connection.exec_driver_sql("begin")


def _begin_postgresql(connection: Connection) -> None:
    patience_ms = connection.get_execution_options().get("capstan_patience_ms")
    if patience_ms is not None:
        connection.exec_driver_sql(f"set local statement_timeout = {patience_ms}")
