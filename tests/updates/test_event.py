"""Events of `POST /stats`, one at a time (contract: device 2.1)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates.actions import ACTIONS
from capstan.updates.body import Refusal
from capstan.updates.event import FIELDS_STATS, StatsEvent, parse_event
from capstan.updates.fields import check_fields
from tests.updates.test_check import json_values
from tests.updates.world import BASE, DEV

PING: dict[str, Any] = {**BASE, "action": "ping", "version_name": "2.1.0"}


def event(**changes: Any) -> StatsEvent:
    parsed = parse_event({**PING, **changes})
    assert isinstance(parsed, StatsEvent), parsed
    return parsed


def issues(*absent: str, **changes: Any) -> list[tuple[str, str]]:
    parsed = parse_event({name: value for name, value in {**PING, **changes}.items() if name not in absent})
    assert isinstance(parsed, Refusal), parsed
    told = json.loads(parsed.body())
    assert (parsed.status, told["error"]) == (400, "invalid_json_body")
    return [(issue["message"], *issue["path"]) for issue in told["moreInfo"]["parseResult"]["error"]["issues"]]


@given(st.dictionaries(st.sampled_from([*PING, "metadata", "key_id"]), json_values, max_size=5))
@settings(max_examples=300, deadline=None)
def test_any_event_is_answered(changes: dict[str, Any]) -> None:
    parsed = parse_event({**PING, **changes})
    if isinstance(parsed, Refusal):
        json.loads(parsed.body())


def test_an_event_is_read_and_normalised() -> None:
    parsed = event(
        device_id=DEV.upper(),
        platform="web",
        version_name="builtin",
        version_build="2.0",
        custom_id=" user-77 ",
        install_source=" Google_Play ",
        defaultChannel="beta",
        is_prod=None,
        metadata={"reason": "js_timeout"},
        timestamp=12,
    )
    assert (parsed.device_id, parsed.platform, parsed.action) == (DEV, "web", "ping")
    assert (parsed.version_name, parsed.raw_version_name, parsed.version_build) == ("2.0.0", "builtin", "2.0.0")
    assert (parsed.custom_id, parsed.install_source, parsed.default_channel) == ("user-77", "google_play", "beta")
    assert (parsed.is_prod, parsed.is_emulator) == (True, False)
    assert parsed.metadata == {"reason": "js_timeout"}


def test_only_a_few_fields_are_required() -> None:
    needed = ("app_id", "device_id", "platform", "version_name", "version_os", "action")
    parsed = parse_event({name: PING[name] for name in needed})
    assert isinstance(parsed, StatsEvent)
    assert (parsed.plugin_version, parsed.version_build, parsed.metadata) == ("", "", None)
    assert not parsed.plugin.legacy_channel_self
    assert issues(*needed[2:]) == [
        ("Platform is required", "platform"),
        ("Version name is required", "version_name"),
        ("Version OS is required", "version_os"),
        ("action must be a string", "action"),
    ]


@pytest.mark.parametrize(
    ("version_name", "bundle_name"),
    [("2.1.0", "2.1.0"), ("2.1.0:assets/a:b.js", "2.1.0"), (":main.js", ":main.js"), ("", "")],
)
def test_the_bundle_is_what_stands_before_the_first_colon(version_name: str, bundle_name: str) -> None:
    assert event(version_name=version_name).bundle_name == bundle_name


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"platform": 7}, ("Platform must be a string", "platform")),
        ({"version_os": None}, ("Version OS must be a string", "version_os")),
        ({"channel": None}, ("channel must be a string", "channel")),
        ({"old_version_name": None}, ("old_version_name must be a string", "old_version_name")),
        ({"version_code": 200}, ("version_code must be a string", "version_code")),
        ({"plugin_version": None}, ("plugin_version must be a string", "plugin_version")),
        ({"custom_id": None}, ("custom_id must be a string", "custom_id")),
        ({"custom_id": "c" * 37}, ("String must contain at most 36 character(s)", "custom_id")),
        ({"action": 5}, ("action must be a string", "action")),
        ({"action": None}, ("action must be a string", "action")),
        ({"action": "bogus"}, (f"action must be one of: {', '.join(ACTIONS)}", "action")),
        ({"action": ""}, (f"action must be one of: {', '.join(ACTIONS)}", "action")),
        ({"metadata": ["a"]}, ("metadata must be an object with string values", "metadata")),
        ({"metadata": None}, ("metadata must be an object with string values", "metadata")),
        (
            {"metadata": {str(number): "v" for number in range(31)}},
            ("metadata must contain at most 30 fields", "metadata"),
        ),
        ({"metadata": {"k" * 65: "v"}}, ("metadata keys must contain at most 64 characters", f"metadata.{'k' * 65}")),
        ({"metadata": {"n": 1}}, ("metadata values must be strings", "metadata.n")),
        ({"metadata": {"n": "v" * 2049}}, ("metadata values must contain at most 2048 characters", "metadata.n")),
        ({"version_build": 1}, ("version_build must be a string", "version_build")),
    ],
)
def test_each_field_is_refused_in_its_own_words(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert issues(**changes) == [expected]


def test_metadata_of_the_largest_size_is_kept() -> None:
    largest = {f"{number:064}": "v" * 2048 for number in range(30)}
    assert event(metadata=largest).metadata == largest


def test_issues_stand_in_the_order_of_the_fields() -> None:
    everything = check_fields(FIELDS_STATS, {field.name: object() for field in FIELDS_STATS})
    assert " ".join(issue.path[0] for issue in everything) == (
        "app_id device_id platform version_name version_os is_emulator is_prod defaultChannel channel "
        "old_version_name version_code plugin_version install_source custom_id key_id action metadata version_build"
    )


@pytest.mark.parametrize(
    ("item", "code"),
    [({}, "invalid_json_body"), ({"app_id": "a.b"}, "missing_device_id"), ({"device_id": "x"}, "missing_app_id")],
)
def test_an_event_without_its_ids_is_refused_as_a_check_is(item: dict[str, Any], code: str) -> None:
    parsed = parse_event(item)
    assert isinstance(parsed, Refusal)
    assert (parsed.status, parsed.code) == (400, code)


def test_a_native_version_beyond_repair_is_refused() -> None:
    parsed = parse_event({**PING, "version_build": "abc"})
    assert isinstance(parsed, Refusal)
    assert (parsed.code, parsed.more) == ("semver_error", {"version_build": "abc"})


def test_there_are_91_actions_each_once() -> None:
    assert len(ACTIONS) == len(set(ACTIONS)) == 91
    assert (ACTIONS[0], ACTIONS[-1]) == ("ping", "native_app_version_changed")
