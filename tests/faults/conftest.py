from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.databases import DatabaseUrls
from tests.faults.breaking import Breaking
from tests.faults.devices import Devices
from tests.updates.acme import acme_server


@pytest.fixture(scope="module")
def devices(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    """Devices before a running server; a test that uses this runs on each database."""
    with acme_server(database_urls, tmp_path_factory.mktemp("data")) as acme:
        acme.client.timeout = httpx.Timeout(30)
        yield Devices(acme)


@pytest.fixture
def breaking(database_urls: DatabaseUrls, request: pytest.FixtureRequest) -> Breaking:
    """Ways to break the databases of `devices`."""
    maintenance = request.getfixturevalue("postgresql") if database_urls.kind == "postgresql" else ""
    return Breaking(database_urls, maintenance)
