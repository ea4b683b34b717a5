"""Real faults of the databases: each is there for the length of a `with` block, and gone afterwards."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from typing import Literal

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import text

from capstan.db.engine import open_engine
from capstan.stores import sqlite_file
from tests.databases import DatabaseUrls

Which = Literal["registry", "telemetry"]


@dataclass(frozen=True)
class Breaking:
    """Breaks the databases of a running server. `maintenance` is the URL of another database of its PostgreSQL."""

    urls: DatabaseUrls
    maintenance: str

    @property
    def kind(self) -> str:
        return self.urls.kind

    def unreadable(self) -> AbstractContextManager[None]:
        """On SQLite the registry's tables have gone; on PostgreSQL the whole database has."""
        return self.gone() if self.kind == "postgresql" else self.hidden("registry", "apps", "channels")

    @contextmanager
    def hidden(self, which: Which, *tables: str) -> Iterator[None]:
        """Tables have other names: every statement that needs them fails."""
        self._rename(which, {name: f"hidden_{name}" for name in tables})
        try:
            yield
        finally:
            self._rename(which, {f"hidden_{name}": name for name in tables})

    def locked(self, which: Which, *tables: str) -> AbstractContextManager[None]:
        """Another connection has the write lock of a SQLite file, or the exclusive lock of PostgreSQL tables."""
        return self._locked_file(which) if self.kind == "sqlite" else self._locked_tables(which, tables)

    @contextmanager
    def gone(self) -> Iterator[None]:
        """PostgreSQL: every connection is cut, and no new one is accepted, as when a server restarts or fails over."""
        name = conninfo_to_dict(self.urls.registry)["dbname"]
        with psycopg.connect(self.maintenance, autocommit=True) as connection:
            connection.execute(f'alter database "{name}" allow_connections false')
            try:
                self.cut()
                yield
            finally:
                connection.execute(f'alter database "{name}" allow_connections true')

    def cut(self) -> None:
        """PostgreSQL: end every connection; new ones are accepted."""
        name = conninfo_to_dict(self.urls.registry)["dbname"]
        with psycopg.connect(self.maintenance, autocommit=True) as connection:
            connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])

    @contextmanager
    def read_only(self) -> Iterator[None]:
        """PostgreSQL: connections reach a server that takes no writes, as after a fail-over to a standby."""
        name = conninfo_to_dict(self.urls.registry)["dbname"]
        with psycopg.connect(self.maintenance, autocommit=True) as connection:
            connection.execute(f'alter database "{name}" set default_transaction_read_only = on')
            try:
                self.cut()
                yield
            finally:
                connection.execute(f'alter database "{name}" reset default_transaction_read_only')
                self.cut()

    @contextmanager
    def full(self, table: str) -> Iterator[None]:
        """PostgreSQL: it refuses new rows of a table of telemetry as it does when its disk is full."""
        with closing(psycopg.connect(self.urls.telemetry, autocommit=True)) as connection:
            connection.execute(
                "create function no_room() returns trigger language plpgsql as "
                "$$ begin raise 'could not extend file: No space left on device' using errcode = '53100'; end $$"
            )
            connection.execute(
                f"create trigger no_room before insert on {table} for each statement execute function no_room()"
            )
            try:
                yield
            finally:
                connection.execute("drop function no_room cascade")

    @contextmanager
    def _locked_file(self, which: Which) -> Iterator[None]:
        with closing(sqlite3.connect(sqlite_file(self._url(which)), isolation_level=None)) as connection:
            connection.execute("begin exclusive")
            yield
            connection.execute("rollback")

    @contextmanager
    def _locked_tables(self, which: Which, tables: tuple[str, ...]) -> Iterator[None]:
        with closing(psycopg.connect(self._url(which))) as connection:
            connection.execute(f"lock table {', '.join(tables)} in access exclusive mode")
            yield
            connection.rollback()

    def _rename(self, which: Which, names: dict[str, str]) -> None:
        engine = open_engine(self._url(which))
        try:
            with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
                for old, new in names.items():
                    connection.execute(text(f"alter table {old} rename to {new}"))
        finally:
            engine.dispose()

    def _url(self, which: Which) -> str:
        return self.urls.registry if which == "registry" else self.urls.telemetry
