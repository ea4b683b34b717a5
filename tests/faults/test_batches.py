"""A batch is its events one by one, and a batch that is sent again changes nothing; on both databases."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from capstan.telemetry.reconcile import counts
from tests.faults.devices import Devices
from tests.updates.acme import NOTES, Acme, new_device
from tests.updates.world import BASE

EXAMPLES = settings(max_examples=25, deadline=None)
DEVICES = 3
STAMPS = st.integers(1_750_000_000_000, 1_750_000_000_003)

Event: TypeAlias = dict[str, Any]
"""`device_id` is a number: the same events are told by different devices."""


def events(stamps: SearchStrategy[int | None]) -> SearchStrategy[list[Event]]:
    """Lists of events, most of them valid."""
    event = st.fixed_dictionaries(
        {
            "device_id": st.integers(0, DEVICES - 1),
            "action": st.sampled_from(("set", "set", "ping", "set_fail", "update_fail", "get", "no such action")),
            "version_name": st.sampled_from(("2.1.0", "2.2.0", "2.1.0:main.js", "builtin", "9.9.9", "")),
            "old_version_name": st.sampled_from(("", "2.1.0", "2.2.0", "8.8.8")),
            "is_prod": st.sampled_from((True, True, False)),
            "is_emulator": st.sampled_from((False, False, True)),
            "platform": st.sampled_from(("android", "ios", "ios", "toaster")),
            "timestamp": stamps,
        }
    )
    return st.lists(event, min_size=1, max_size=8)


@EXAMPLES
@given(told=events(st.none() | STAMPS))
def test_a_batch_is_the_same_as_its_events_one_by_one(devices: Devices, told: list[Event]) -> None:
    acme = devices.acme
    before = counted(acme)
    batch = bodies(told)
    together = results(acme.client.post("/stats", json=batch))
    between = counted(acme)
    alone = bodies(told)
    one_by_one = [result(acme.client.post("/stats", json=event)) for event in alone]
    after = counted(acme)
    assert together == one_by_one
    assert between - before == after - between
    for batched, single in zip(batch, alone, strict=True):
        assert acme.recorded(batched["device_id"]) == acme.recorded(single["device_id"])


@EXAMPLES
@given(told=events(STAMPS), again=st.data())
def test_a_batch_with_timestamps_that_is_sent_again_changes_nothing(
    devices: Devices, told: list[Event], again: st.DataObject
) -> None:
    acme = devices.acme
    batch = bodies(told)
    first = results(acme.client.post("/stats", json=batch))
    before = counted(acme), [acme.recorded(event["device_id"]) for event in batch]
    assert results(acme.client.post("/stats", json=batch)) == first
    part = again.draw(st.lists(st.sampled_from(batch), min_size=1, max_size=len(batch)))
    assert acme.client.post("/stats", json=part).status_code == 200
    assert acme.client.post("/stats", json=batch[-1]).status_code < 500
    logged_again = counted(acme), [logged(acme, event["device_id"]) for event in batch]
    assert logged_again == (before[0], [[line for line in lines if is_logged(line)] for lines in before[1]])


def bodies(told: list[Event]) -> list[Event]:
    """The events as new devices send them; those without a moment do not say any."""
    ids = [new_device() for _ in range(DEVICES)]
    sent = [{**BASE, **event, "device_id": ids[event["device_id"]]} for event in told]
    return [{name: value for name, value in event.items() if value is not None} for event in sent]


def results(answer: httpx.Response) -> list[tuple[str, str]]:
    """Code and message for each event of a batch, empty for one that was taken."""
    assert answer.status_code == 200, answer.text
    told = answer.json()["results"]
    assert [one["index"] for one in told] == list(range(len(told)))
    return [(one.get("error", ""), one.get("message", "")) for one in told]


def result(answer: httpx.Response) -> tuple[str, str]:
    """The same of a single event."""
    told = answer.json()
    return told.get("error", ""), told.get("message", "")


def counted(acme: Acme) -> Counter[tuple[date, str, str]]:
    """What all counters of the app say; each agrees with its rows."""
    today = datetime.now(UTC).date()
    found: Counter[tuple[date, str, str]] = Counter()
    for day in (today - timedelta(days=1), today):
        for one in counts(acme.telemetry, NOTES, day):
            assert one.agrees, one
            found[day, one.counter, one.subject] = one.counted
    return found


def is_logged(line: str) -> bool:
    """Whether something that is recorded is not the device's row, of which its last event decides."""
    return not line.startswith("device ")


def logged(acme: Acme, device_id: str) -> list[str]:
    return [line for line in acme.recorded(device_id) if is_logged(line)]
