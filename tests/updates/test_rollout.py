"""Rollouts without memory: who is offered the rollout's bundle (contract: device 6.2, 6.3)."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates import rollout
from capstan.updates.rollout import BUCKETS, RolloutChoice, bucket, choose_rollout
from tests.updates.world import check, roll

DEVICES = [str(uuid.UUID(int=number * 7919)) for number in range(4000)]
ROLLOUT = "0a0b0c0d-0000-4000-8000-000000000001"

percentages = st.integers(0, BUCKETS)
devices = st.uuids().map(str)


def choice(version_name: str = "1.9.0", **fields: Any) -> RolloutChoice:
    channel = roll(rollout_id=ROLLOUT, **fields).channels[0]
    assert channel.rollout is not None
    return choose_rollout(channel, channel.rollout, check(version_name=version_name))


def selected(percentage_bps: int, rollout_id: str = ROLLOUT) -> set[str]:
    return {device for device in DEVICES if bucket(rollout_id, device) < percentage_bps}


@given(devices, percentages, percentages)
@settings(max_examples=200, deadline=None)
def test_raising_only_adds_devices_and_lowering_only_removes_some(device: str, one: int, other: int) -> None:
    lower, higher = sorted((one, other))
    place = bucket(ROLLOUT, device)
    assert 0 <= place < BUCKETS
    assert (place < lower) <= (place < higher)


@pytest.mark.parametrize("percentage_bps", [100, 1000, 2500, 5000, 9000])
def test_the_share_of_devices_is_the_percentage(percentage_bps: int) -> None:
    share = percentage_bps / BUCKETS
    sigma = (len(DEVICES) * share * (1 - share)) ** 0.5
    assert abs(len(selected(percentage_bps)) - len(DEVICES) * share) < 3 * sigma


def test_two_rollouts_choose_their_devices_independently() -> None:
    both = selected(5000) & selected(5000, "0a0b0c0d-0000-4000-8000-000000000002")
    sigma = (len(DEVICES) * 0.25 * 0.75) ** 0.5
    assert abs(len(both) - len(DEVICES) * 0.25) < 3 * sigma


def test_a_device_keeps_its_place_for_ever() -> None:
    assert bucket(ROLLOUT, DEVICES[1]) == 8404
    assert bucket(ROLLOUT, DEVICES[2]) == 7935


def test_a_rollout_to_everyone_reaches_everyone_and_one_to_nobody_nobody() -> None:
    assert choice(rollout_percentage_bps=BUCKETS) is rollout.SELECTED
    assert choice(rollout_percentage_bps=0) is rollout.PERCENTAGE_ZERO
    assert len(selected(BUCKETS)) == len(DEVICES)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"rollout_percentage_bps": 1}, rollout.ALREADY_ON_ROLLOUT),
        ({"rollout_percentage_bps": 1, "rollout_paused": True}, rollout.ALREADY_ON_ROLLOUT),
        ({"rollout_percentage_bps": 0}, rollout.PERCENTAGE_ZERO),
        ({"rollout_percentage_bps": -5}, rollout.PERCENTAGE_ZERO),
        ({"rollout_percentage_bps": 0, "rollout_paused": True}, rollout.PERCENTAGE_ZERO),
        ({"rollout_enabled": False}, rollout.DISABLED),
    ],
)
def test_a_device_that_runs_the_rollout_bundle_keeps_it_unless_the_rollout_is_off_or_at_zero(
    fields: dict[str, Any], expected: RolloutChoice
) -> None:
    assert choice("2.1.0", **fields) is expected


def test_a_paused_rollout_reaches_no_further_device() -> None:
    assert choice(rollout_paused=True) is rollout.PAUSED


def test_only_a_device_below_the_percentage_is_selected() -> None:
    place = bucket(ROLLOUT, check().device_id)
    assert choice(rollout_percentage_bps=place + 1) is rollout.SELECTED
    assert choice(rollout_percentage_bps=place) is rollout.NOT_SELECTED


def test_only_selected_devices_and_those_on_it_are_offered_the_rollout_bundle() -> None:
    all_choices = [value for value in vars(rollout).values() if isinstance(value, RolloutChoice)]
    assert {one.reason for one in all_choices if one.offered} == {"selected", "already_on_rollout"}
    assert len({one.reason for one in all_choices}) == 6
