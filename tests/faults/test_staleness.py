"""A snapshot stands in for a registry that cannot be read for `stale_for`; then devices are told to come back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from tests.databases import DatabaseUrls
from tests.faults.breaking import Breaking
from tests.faults.devices import Devices, check_honest, is_tired, until
from tests.faults.logbook import check_said_once
from tests.updates.acme import acme_server


@pytest.fixture(scope="module")
def devices(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Devices]:
    with acme_server(database_urls, tmp_path_factory.mktemp("data"), stale_for="1s") as acme:
        yield Devices(acme)


def test_a_snapshot_that_has_stood_in_for_too_long_is_not_used(devices: Devices, breaking: Breaking) -> None:
    assert devices.offered() == "2.1.0"
    with capture_logs() as lines:
        with breaking.unreadable():
            until(lambda: is_tired(devices.check()))
            check_honest(devices.every_answer())
        check_said_once(devices, lambda: lines, "the registry cannot be read")
