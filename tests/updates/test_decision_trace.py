"""Why a device got its answer, in words for a person."""

from __future__ import annotations

from typing import Any

import pytest

from capstan.updates.decision import Decision, decide
from capstan.updates.snapshot import NO_STATE, AppSnapshot, DeviceState
from tests.updates.world import (
    B_220,
    B_240,
    B_300,
    B_NIGHTLY,
    STAFF,
    check,
    notes,
    production,
    roll,
    snapshot,
    zip_bundle,
)


def ask(app: AppSnapshot, state: DeviceState = NO_STATE, **changes: Any) -> Decision:
    return decide(app, state, check(**changes))


def words(decision: Decision) -> dict[str, str]:
    return {step.rule.value: step.words for step in decision.trace}


def test_the_words_name_the_values_that_were_compared() -> None:
    told = words(ask(snapshot("io.acme.notes", production(B_300)), version_name="1.9.0"))
    assert told == {
        "native_version": "The native version is 2.0.0.",
        "plugin": "The plugin 8.47.0 is served.",
        "channel": 'The channel is "production", the public one for android.',
        "target": "The target is 3.0.0, the channel's bundle.",
        "content": "3.0.0 has a zip.",
        "up_to_date": "The device runs 1.9.0, not 3.0.0.",
        "platform": 'The channel "production" is on for android.',
        "policy_major": "Policy major: 3.0.0 is above the native major 2.",
    }


def test_the_words_tell_how_channel_and_bundle_were_chosen() -> None:
    assert words(ask(notes(), DeviceState(override_channel_id=12)))["channel"].endswith("set for this device.")
    assert "names as its default channel" in words(ask(notes(), defaultChannel="beta"))["channel"]
    assert "no live public channel for android" in words(ask(snapshot("io.acme.notes", STAFF)))["channel"]
    assert 'no live channel "staff"' in words(ask(notes(), defaultChannel="staff"))["channel"]
    assert "pinned for this device" in words(ask(notes(), DeviceState(pinned=B_220)))["target"]


@pytest.mark.parametrize(
    ("fields", "version_name", "reason"),
    [
        ({}, "1.9.0", "the device's place 75.21 % is below the 100 % of the rollout"),
        ({"rollout_percentage_bps": 50}, "1.9.0", "the device's place 75.21 % is not below the 0.5 % of the rollout"),
        ({"rollout_percentage_bps": 0}, "1.9.0", "the rollout of 2.1.0 is at 0 %"),
        ({"rollout_paused": True}, "1.9.0", "the rollout of 2.1.0 is paused"),
        ({"rollout_enabled": False}, "1.9.0", "the rollout of 2.1.0 is off"),
        ({}, "2.1.0", "the device runs it already"),
    ],
)
def test_the_words_tell_why_a_rollout_reached_the_device_or_not(
    fields: dict[str, Any], version_name: str, reason: str
) -> None:
    assert reason in words(ask(roll(**fields), version_name=version_name))["target"]


def test_the_words_of_a_comparison_that_could_not_be_made_say_so() -> None:
    told = ask(snapshot("io.acme.notes", production(B_NIGHTLY))).trace[-1].words
    assert told == "Policy major: nightly-7 does not follow semver, so it cannot be compared."


@pytest.mark.parametrize(
    ("app", "state", "changes", "last"),
    [
        (notes(), NO_STATE, {"version_name": "2.1.0"}, "The device already runs 2.1.0."),
        (
            notes(),
            NO_STATE,
            {"version_build": "99999999999999999999.0.0"},
            "The native version 99999999999999999999.0.0 has a number that is too large.",
        ),
        (
            notes(),
            NO_STATE,
            {"plugin_version": "4.1.0"},
            "The plugin 4.1.0 is of major 4, which is no longer served.",
        ),
        (
            notes(),
            DeviceState(failed_bundles=frozenset({102})),
            {},
            "2.1.0 failed on this device and is not offered to it again.",
        ),
        (
            notes(production(B_240)),
            NO_STATE,
            {"key_id": "other"},
            "2.4.0 is encrypted for key MIIBCgKCAQEAtestAAAA, the device has key other.",
        ),
        (
            notes(production(disable_auto_update="minor")),
            NO_STATE,
            {},
            "Policy minor: 2.1.0 and the native version 2.0.0 differ in major or minor.",
        ),
        (
            notes(production(disable_auto_update="version_number")),
            NO_STATE,
            {},
            "Policy version_number: 2.1.0 has no min update version.",
        ),
        (
            notes(production(zip_bundle(1, "2.1.0", min_update_version="2.0.5"), disable_auto_update="version_number")),
            NO_STATE,
            {},
            "Policy version_number: the native version 2.0.0 is below the min update version 2.0.5.",
        ),
        (
            notes(),
            NO_STATE,
            {"version_build": "2.1.1"},
            "Never below native: 2.1.0 is below the native version 2.1.1.",
        ),
        (
            notes(production(allow_emulator=False)),
            NO_STATE,
            {"is_emulator": True},
            'The channel "production" does not take emulators.',
        ),
        (
            notes(production(None)),
            NO_STATE,
            {"version_name": "1.9.0"},
            "The channel is set to builtin: the device is told to go back to its native bundle.",
        ),
        (
            notes(production(None)),
            NO_STATE,
            {},
            "The channel is set to builtin, and the device runs its native bundle.",
        ),
        (notes(), NO_STATE, {}, "2.1.0 is offered."),
    ],
)
def test_the_last_words_say_what_ended_the_check(
    app: AppSnapshot, state: DeviceState, changes: dict[str, Any], last: str
) -> None:
    assert ask(app, state, **changes).trace[-1].words == last
