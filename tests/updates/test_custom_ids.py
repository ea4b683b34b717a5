"""Custom ids: which get as far as telemetry, by the app's word and by the operator's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from capstan.telemetry.records import DEVICE_COLUMNS
from capstan.updates.body import unlimited
from capstan.updates.channel_self.call import ChannelCall, parse_call
from capstan.updates.decision import decide
from capstan.updates.event import StatsEvent, parse_event
from capstan.updates.recording import Recorder
from capstan.updates.snapshot import NO_STATE, AppSnapshot
from tests.statistics.traffic import START_MS, Gathered
from tests.updates.world import BASE, body, check, noid, notes

ANN: dict[str, Any] = {"custom_id": "ann@example.com"}


def stored_after(snapshot: AppSnapshot, *, keep_custom_ids: bool) -> list[str]:
    """The custom ids of the device rows that each way to say one leaves behind."""
    telemetry = Gathered()
    recorder = Recorder(telemetry, "all", keep_custom_ids=keep_custom_ids)
    about = {**ANN, "app_id": snapshot.app_id}
    event = parse_event({**BASE, **about, "action": "ping"})
    call = parse_call("get", body(**about), b"", unlimited)
    assert isinstance(event, StatsEvent)
    assert isinstance(call, ChannelCall)
    ways: tuple[Callable[[], None], ...] = (
        lambda: recorder.check(decide(snapshot, NO_STATE, check(**about)), body(**about), START_MS),
        lambda: recorder.refused_by_plan(snapshot, check(**about), START_MS),
        lambda: recorder.device(event, snapshot, START_MS),
        lambda: recorder.channel_call(call, "getChannel", snapshot, START_MS),
    )
    stored = []
    for say in ways:
        telemetry.batch.devices.clear()
        say()
        stored += [row[DEVICE_COLUMNS.index("custom_id")] for row in telemetry.batch.devices.values()]
    assert ANN["custom_id"] not in str((telemetry.batch.events, telemetry.batch.stamped))
    return stored


@pytest.mark.parametrize(
    ("snapshot", "keep_custom_ids", "stored"),
    [(notes(), True, "ann@example.com"), (notes(), False, ""), (noid(), True, ""), (noid(), False, "")],
)
def test_both_must_allow_it(snapshot: AppSnapshot, keep_custom_ids: bool, stored: str) -> None:
    assert stored_after(snapshot, keep_custom_ids=keep_custom_ids) == [stored] * 4
