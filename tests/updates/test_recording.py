"""What a process need not write again must really have been written: no device may be taken for another."""

from __future__ import annotations

import msgspec

from capstan.telemetry.records import Batch
from capstan.updates.check import UpdateCheck, parse_check
from capstan.updates.decision import decide
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
