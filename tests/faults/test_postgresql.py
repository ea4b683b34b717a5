"""What only a database server can do: end connections, fill its disk, or become a standby that takes no writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import DatabaseUrls, postgresql_databases
from tests.faults.breaking import Breaking
from tests.faults.devices import Devices, check_honest, is_tired
from tests.faults.endurance import endure_unwritable_telemetry
from tests.updates.acme import new_device


@pytest.fixture(scope="module")
def database_urls(postgresql: str) -> Iterator[DatabaseUrls]:
    with postgresql_databases(postgresql) as urls:
        yield urls


def test_a_full_disk(devices: Devices, breaking: Breaking) -> None:
    endure_unwritable_telemetry(devices, breaking.full("device_days"))


def test_a_fail_over_to_a_standby(devices: Devices, breaking: Breaking) -> None:
    endure_unwritable_telemetry(devices, breaking.read_only())
    with breaking.read_only():
        answers = devices.every_answer()
        check_honest(answers, knows_apps=True)
        assert is_tired(answers["set"])
    devices.until_all_is_well()


def test_connections_that_were_cut_while_nobody_needed_them_are_no_failure(
    devices: Devices, breaking: Breaking
) -> None:
    devices.until_all_is_well()
    for _ in range(3):
        breaking.cut()
        assert devices.tell(new_device(), 1).json() == {"status": "ok"}
        assert devices.offered() == "2.1.0"
