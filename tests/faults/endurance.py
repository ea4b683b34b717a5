"""What a server must do while nothing can be written to telemetry, whatever the reason."""

from __future__ import annotations

from contextlib import AbstractContextManager

from structlog.testing import capture_logs

from tests.faults.devices import STAMP, Devices, check_honest, is_tired, is_well, until
from tests.faults.logbook import check_said_once
from tests.statistics.invariants import INVARIANTS
from tests.updates.acme import new_device

OK = {"status": "ok"}


def endure_unwritable_telemetry(devices: Devices, fault: AbstractContextManager[None]) -> None:
    """Checks are answered, events are refused and leave nothing behind, and afterwards they are taken once."""
    device = new_device()
    assert is_well(devices.every_answer())
    with capture_logs() as lines:
        with fault:
            answers = devices.every_answer(device)
            check_honest(answers, knows_apps=True)
            assert answers["check"].json()["version"] == "2.1.0"
            assert is_tired(answers["event"])
        assert devices.logged(device) == 0
        until(lambda: devices.tell(device, STAMP).json() == OK)
        assert devices.tell(device, STAMP).json() == OK
        check_said_once(devices, lambda: lines, "telemetry cannot be written")
    assert devices.logged(device) == 1
    for holds in INVARIANTS:
        holds(devices.acme.telemetry)
