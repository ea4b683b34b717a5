"""What a process need not write again must really have been written: no device may be taken for another."""

from __future__ import annotations

import msgspec

from capstan.telemetry.days import HOUR_MS
from capstan.telemetry.records import Batch
from capstan.updates.check import UpdateCheck, parse_check
from capstan.updates.decision import decide
from capstan.updates.event import StatsEvent, parse_event
from capstan.updates.recording import Recorder
from capstan.updates.snapshot import NO_STATE
from tests.updates.world import BASE, notes

MANY = 50_000
NOON_MS = 1_795_521_600_000


class Kept:
    """Telemetry that keeps one batch and never commits."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.failures = 0

    def has_room(self) -> bool:
        return True

    def written_soon(self) -> None:
        return

    async def durable(self, since: int) -> None:
        assert since == self.failures


def test_every_device_of_many_is_counted_and_has_its_row() -> None:
    kept, app = Kept(), notes()
    recorder = Recorder(kept, "hourly")
    for number in range(MANY):
        raw = msgspec.json.encode({**BASE, "device_id": f"{number:08x}-0000-4000-8000-000000000000"})
        check = parse_check(raw)
        assert isinstance(check, UpdateCheck)
        recorder.check(decide(app, NO_STATE, check), raw, NOON_MS)
    assert len(kept.batch.seen) == MANY
    assert len(kept.batch.devices) == MANY


def test_an_offer_that_is_repeated_is_logged_again_but_its_device_is_not_written_again() -> None:
    kept, app = Kept(), notes()
    recorder = Recorder(kept, "hourly")

    def ask(os_version: str, now_ms: int) -> tuple[int, int]:
        """The log rows and device rows that a check leaves."""
        kept.batch = Batch()
        raw = msgspec.json.encode({**BASE, "version_os": os_version})
        check = parse_check(raw)
        assert isinstance(check, UpdateCheck)
        decision = decide(app, NO_STATE, check)
        assert decision.is_update
        recorder.check(decision, raw, now_ms)
        return len(kept.batch.events), len(kept.batch.devices)

    assert ask("17.4", NOON_MS) == (1, 1)
    assert ask("17.4", NOON_MS + 1) == (1, 0)
    assert ask("17.5", NOON_MS + 2) == (1, 1)
    assert ask("17.4", NOON_MS + 3) == (1, 1)
    assert ask("17.4", NOON_MS + HOUR_MS) == (1, 1)


def test_an_event_that_says_nothing_new_of_its_device_does_not_write_it_again() -> None:
    kept, app = Kept(), notes()
    recorder = Recorder(kept, "hourly")

    def report(action: str, now_ms: int, **changes: str) -> int:
        """The device rows that an event leaves."""
        kept.batch = Batch()
        event = parse_event({**BASE, "action": action, **changes})
        assert isinstance(event, StatsEvent)
        recorder.device(event, app, now_ms)
        return len(kept.batch.devices)

    assert report("ping", NOON_MS) == 1
    assert report("app_moved_to_foreground", NOON_MS + 1) == 0
    assert report("ping", NOON_MS + 2, version_name="1.9.9") == 1
    assert report("ping", NOON_MS + 3) == 1
    kept.failures += 1
    assert report("ping", NOON_MS + 4) == 1
    assert report("ping", NOON_MS + HOUR_MS) == 1
