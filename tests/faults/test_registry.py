"""A registry that cannot be read or written, or is not there: devices are served from memory or told to come back."""

from __future__ import annotations

import time
from collections.abc import Iterator

from structlog.testing import capture_logs

from capstan.updates.directory_postgresql import POLL_SECONDS
from tests.faults.breaking import Breaking
from tests.faults.devices import Devices, check_honest, is_tired, is_well
from tests.faults.logbook import check_said_once
from tests.updates.acme import new_device

UNREADABLE = "the registry cannot be read"


def last(seconds: float) -> Iterator[None]:
    """As many turns as there is time for."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.02)


def test_apps_in_memory_are_answered_from_their_last_snapshot(devices: Devices, breaking: Breaking) -> None:
    assert is_well(devices.every_answer())
    with capture_logs() as lines:
        with breaking.unreadable():
            # Long enough for everything that looks after the registry by itself to find it away more than once.
            for _ in last(2.5 * POLL_SECONDS):
                assert devices.offered() == "2.1.0"
            for _ in range(3):
                check_honest(devices.every_answer())
            assert is_tired(devices.unknown())
        check_said_once(devices, lambda: lines, UNREADABLE)


def test_a_change_that_cannot_be_read_leaves_the_last_snapshot(devices: Devices, breaking: Breaking) -> None:
    assert is_well(devices.every_answer())
    with capture_logs() as lines:
        with breaking.hidden("registry", "channels"):
            devices.touch()
            for _ in last(1.5 * POLL_SECONDS):
                assert devices.offered() == "2.1.0"
            check_honest(devices.every_answer(), knows_apps=True)
        check_said_once(devices, lambda: lines, UNREADABLE)


def test_a_server_goes_on_when_its_registry_is_locked(devices: Devices, breaking: Breaking) -> None:
    device = new_device()
    assert is_well(devices.every_answer())
    with capture_logs() as lines:
        with breaking.locked("registry", "apps", "channels", "channel_self_choices"):
            answers = devices.every_answer(device)
            check_honest(answers, knows_apps=breaking.kind == "sqlite")
            assert answers["check"].status_code == 200
            assert is_tired(answers["set"])
        # SQLite's readers are never locked out.
        said = {"sqlite": "choices of devices cannot be kept", "postgresql": UNREADABLE}
        check_said_once(devices, lambda: lines, said[breaking.kind])
    assert device not in devices.acme.choices()
