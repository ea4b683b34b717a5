"""Nobody is taken for somebody else: what the process remembers of who was counted saves work and nothing more."""

from __future__ import annotations

from msgspec.structs import replace

from capstan.updates.recording import Recorder
from tests.statistics.traffic import START_MS, Event, Gathered, Told, device_id_of

MANY = 20_000


def test_every_one_of_many_devices_counts_as_active_each_day() -> None:
    telemetry = Gathered()
    recorder = Recorder(telemetry, "hourly")
    event = Event(Told(0, "ios", "2.0.0", "2.1.0"), "ping", "", None, True, False).parsed
    for day_ms in (START_MS, START_MS + 86_400_000):
        for number in range(MANY):
            for _ in range(2):
                recorder.seen(replace(event, device_id=device_id_of(number)), day_ms)
    assert len(telemetry.batch.seen) == 2 * MANY
