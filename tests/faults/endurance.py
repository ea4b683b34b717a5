"""What a server must do while nothing can be written to telemetry, whatever the reason."""

from __future__ import annotations

from contextlib import AbstractContextManager

from structlog.testing import capture_logs

from tests.faults.devices import Devices, check_honest, is_tired, until
from tests.faults.logbook import check_said_once
from tests.statistics.invariants import INVARIANTS
from tests.updates.acme import new_device

STAMP = 1_750_000_000_000
OK = {"status": "ok"}


def endure_unwritable_telemetry(devices: Devices, fault: AbstractContextManager[None]) -> None:
    """Checks are answered, events are refused and leave nothing behind, and afterwards they are taken once."""
    device = new_device()
    assert devices.offered() == "2.1.0"
    with capture_logs() as lines:
        with fault:
            assert is_tired(devices.tell(device, STAMP))
            assert devices.offered() == "2.1.0"
            check_honest(devices.every_answer(), knows_apps=True)
        assert devices.logged(device) == 0
        until(lambda: devices.tell(device, STAMP).json() == OK)
        assert devices.tell(device, STAMP).json() == OK
        devices.until_all_is_well()
    assert devices.logged(device) == 1
    check_said_once(lines, "telemetry cannot be written")
    for holds in INVARIANTS:
        holds(devices.acme.telemetry)
