"""Fixtures for every suite: both databases, fresh for each module, and opened stores on them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from capstan.db.session import Registry
from tests.databases import (
    KINDS,
    Databases,
    DatabaseUrls,
    migrated_databases,
    postgresql_databases,
    postgresql_server,
    sqlite_databases,
)
from tests.public_api.fixtures import event_loop_runner, world

__all__ = ["event_loop_runner", "world"]


# Failed assertions of these modules say what was compared, as those of tests do. It must be said before any suite
# imports them, and several do.
for _name in ("inspection", "processes", "telemetry_counts", "traffic"):
    pytest.register_assert_rewrite(f"tests.journeys.{_name}")


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """URL of a PostgreSQL server; started when the first test asks for it."""
    # Not below pytest's own folders: each run of pytest closes those to other users, and root's server is one.
    with tempfile.TemporaryDirectory(prefix="capstan-postgresql-") as folder, postgresql_server(Path(folder)) as url:
        yield url


@pytest.fixture(scope="module", params=KINDS)
def database_urls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseUrls]:
    """Two empty databases; a test that uses this runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("databases"))
        return
    with postgresql_databases(request.getfixturevalue("postgresql")) as urls:
        yield urls


@pytest.fixture(scope="session", params=KINDS)
def shared_databases(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """Two databases with their schemas, made once: each test that uses them leaves them empty."""
    if request.param == "sqlite":
        urls = sqlite_databases(tmp_path_factory.mktemp("shared"))
        with migrated_databases(urls) as databases:
            yield databases
        return
    with (
        postgresql_databases(request.getfixturevalue("postgresql")) as urls,
        migrated_databases(urls) as databases,
    ):
        yield databases


@pytest.fixture
def databases(shared_databases: Databases) -> Iterator[Databases]:
    """Both databases without any row; a test that uses this, or a fixture below, runs once on each kind of database."""
    yield shared_databases
    shared_databases.empty()


@pytest.fixture
def registry(databases: Databases) -> Registry:
    """An empty registry."""
    return Registry(databases.registry)


@pytest.fixture
def telemetry_engine(databases: Databases) -> Engine:
    """An empty telemetry database, the one beside `registry`."""
    return databases.telemetry
