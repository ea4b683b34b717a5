"""Which downloads count, and as what (contract: device 5.3)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from capstan.files.accounting import DownloadAccounts
from capstan.files.download import Sent
from capstan.telemetry.records import Batch

APP = "io.acme.notes"
DEVICE = "00009a6b-eefe-490a-9c60-8e965132ae51"
NOW = 1_795_510_800.0


@dataclass
class Recorded:
    """Telemetry that takes everything, or nothing."""

    batch: Batch = field(default_factory=Batch)
    failures: int = 0
    room: bool = True
    asked_to_write: int = 0

    def has_room(self) -> bool:
        return self.room

    def written_soon(self) -> None:
        self.asked_to_write += 1

    async def durable(self, since: int) -> None:
        raise AssertionError(f"downloads do not wait, also not since {since}")


def accounts(telemetry: Recorded) -> DownloadAccounts:
    return DownloadAccounts(telemetry, lambda app_id: app_id == APP, lambda: NOW)


@pytest.mark.parametrize(
    ("device", "has_key", "nocache", "counted"),
    [
        (DEVICE, True, False, True),
        (DEVICE, False, False, True),
        (None, True, False, True),
        (None, False, False, False),
        (DEVICE, True, True, False),
        (None, True, True, False),
    ],
)
def test_a_download_counts_with_a_device_or_a_key(
    device: str | None, has_key: bool, nocache: bool, counted: bool
) -> None:
    telemetry = Recorded()
    accounts(telemetry).sent(Sent(APP, device, has_key, nocache, 11))
    assert bool(telemetry.batch.bandwidth) == counted
    assert telemetry.asked_to_write == int(counted)


def test_downloads_of_one_device_between_two_commits_are_one_row() -> None:
    telemetry = Recorded()
    for sent in (5, 6, 7):
        accounts(telemetry).sent(Sent(APP, DEVICE, has_key=True, nocache=False, sent_bytes=sent))
    accounts(telemetry).sent(Sent(APP, None, has_key=True, nocache=False, sent_bytes=1))
    assert sorted(row[3:] for row in telemetry.batch.bandwidth.values()) == [(1, 1), (18, 3)]
    assert len(telemetry.batch) == 2


def test_only_objects_of_known_apps_are_counted_as_missing() -> None:
    telemetry = Recorded()
    for app_id in (APP, APP, "io.acme.none"):
        accounts(telemetry).missing(app_id)
    assert list(telemetry.batch.missing.values()) == [2]


def test_nothing_is_counted_when_there_is_no_room() -> None:
    telemetry = Recorded(room=False)
    accounts(telemetry).sent(Sent(APP, DEVICE, has_key=True, nocache=False, sent_bytes=5))
    accounts(telemetry).missing(APP)
    assert len(telemetry.batch) == 0
