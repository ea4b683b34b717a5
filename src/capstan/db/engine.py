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
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"application_name": "capstan"},
    )


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
    writes = connection.get_execution_options().get("capstan_writes", False)
    connection.exec_driver_sql("begin immediate" if writes else "begin")
