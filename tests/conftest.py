"""Fixtures for every suite: both databases, fresh for each module, and opened stores on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from capstan.db.session import Registry
from tests.databases import (
    KINDS,
    DatabaseUrls,
    Engines,
    migrated_engines,
    postgresql_databases,
    postgresql_server,
    sqlite_databases,
)
from tests.public_api.fixtures import event_loop_runner, world

__all__ = ["event_loop_runner", "world"]


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server; started when the first test asks for it."""
    with postgresql_server(tmp_path_factory.mktemp("postgresql")) as url:
        yield url


@pytest.fixture(scope="module", params=KINDS)
def database_urls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DatabaseUrls]:
    """Two empty databases; a test that uses this runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("databases"))
        return
    with postgresql_databases(request.getfixturevalue("postgresql")) as urls:
        yield urls


@pytest.fixture(scope="module")
def migrated(database_urls: DatabaseUrls) -> Iterator[Engines]:
    """Engines on the module's databases, with their schemas."""
    with migrated_engines(database_urls) as engines:
        yield engines


@pytest.fixture
def engines(migrated: Engines) -> Iterator[Engines]:
    """Both databases without any row; a test that uses this, or a fixture below, runs once on each kind of database."""
    yield migrated
    migrated.empty()


@pytest.fixture
def registry(engines: Engines) -> Registry:
    """An empty registry."""
    return Registry(engines.registry)


@pytest.fixture
def telemetry_engine(engines: Engines) -> Engine:
    """An empty telemetry database, the one beside `registry`."""
    return engines.telemetry
