"""Fixtures for every suite: both databases, fresh for each module, and opened stores on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import KINDS, DatabaseUrls, postgresql_databases, postgresql_server, sqlite_databases


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of a PostgreSQL server; started when the first test asks for it."""
    with postgresql_server(tmp_path_factory.mktemp("postgresql")) as url:
        yield url


@pytest.fixture(scope="module", params=KINDS)
def database_urls(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DatabaseUrls]:
    """Two empty databases; a test that uses this runs once on SQLite and once on PostgreSQL."""
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path_factory.mktemp("databases"))
        return
    with postgresql_databases(request.getfixturevalue("postgresql")) as urls:
        yield urls
