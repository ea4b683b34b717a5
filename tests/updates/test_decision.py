"""What a device is answered: the choice of channel and bundle, and the order of the rules (contract: 1.4, 1.8)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates.decision import Decision, decide
from capstan.updates.rules import Rule
from capstan.updates.snapshot import BUILTIN, NO_STATE, AppSnapshot, Bundle, Channel, DeviceState
from tests.updates.world import (
    B_200,
    B_210,
    B_220,
    B_230,
    B_240,
    B_300,
    B_NIGHTLY,
    STAFF,
    beta,
    check,
    notes,
    production,
    roll,
    snapshot,
    zip_bundle,
)

NAMES = ["0.9.0", "1.0.0", "1.0.1", "1.1.0", "1.1.0-rc.1", "2.0.0", "nightly"]
VERSIONS = NAMES[:-1]
POLICIES = ["major", "minor", "patch", "version_number", "none"]

flags = st.booleans()
bundles = st.builds(
    zip_bundle,
    st.integers(1, 9),
    st.sampled_from(NAMES),
    min_update_version=st.sampled_from([None, "1.0.0", "1.1.0", "soon"]),
    key_id=st.sampled_from([None, "key"]),
    r2_path=st.sampled_from([None, "zip"]),
    external_url=st.sampled_from([None, "https://cdn.example/a.zip", "ftp://cdn.example/a.zip"]),
    has_manifest=flags,
)
channels = st.builds(
    production,
    st.none() | bundles,
    android=flags,
    allow_prod=flags,
    allow_dev=flags,
    allow_device=flags,
    allow_emulator=flags,
    disable_auto_update=st.sampled_from(POLICIES),
    disable_auto_update_under_native=flags,
    rollout=st.none() | bundles,
    rollout_enabled=flags,
    rollout_percentage_bps=st.sampled_from([0, 5000, 10_000]),
    rollout_paused=flags,
    rollout_id=st.just("r"),
)
checks = st.builds(
    check,
    version_name=st.sampled_from([*NAMES, "builtin"]),
    version_build=st.sampled_from([*VERSIONS, "99999999999999999999.0.0"]),
    plugin_version=st.sampled_from(["4.1.0", "5.9.0", "6.1.0", "7.33.0", "8.40.7", "8.47.0"]),
    is_prod=flags,
    is_emulator=flags,
    key_id=st.sampled_from(["", "key", "other"]),
    defaultChannel=st.sampled_from(["", "production", "nope"]),
)
states = st.builds(
    DeviceState,
    override_channel_id=st.sampled_from([None, 11, 99]),
    self_channel_id=st.sampled_from([None, 11, 99]),
    pinned=st.none() | bundles,
    failed_bundles=st.frozensets(st.integers(1, 9), max_size=3),
)

ON_PRODUCTION = DeviceState(override_channel_id=11)


def world(channel: Channel) -> AppSnapshot:
    return snapshot("io.acme.notes", channel)


def ask(app: AppSnapshot, state: DeviceState = NO_STATE, **changes: Any) -> Decision:
    return decide(app, state, check(**changes))


# --- Properties of the order -----------------------------------------------------------------------------------------


@given(channels, states, checks)
@settings(max_examples=400, deadline=None)
def test_every_check_is_decided_and_its_words_end_with_the_rule_that_fired(
    channel: Channel, state: DeviceState, asked: Any
) -> None:
    decision = decide(world(channel), state, asked)
    order = list(Rule)
    asked_rules = [order.index(step.rule) for step in decision.trace]
    assert asked_rules == sorted(set(asked_rules))
    assert [step.rule for step in decision.trace if step.fired] == [decision.rule]
    assert decision.trace[-1].fired
    assert all(step.words.endswith(".") for step in decision.trace)
    assert "None" not in " ".join(step.words for step in decision.trace)
    assert "{" not in decision.message


@given(channels, states, checks, st.sampled_from(["7.7.7", "elsewhere"]))
@settings(max_examples=300, deadline=None)
def test_policies_compare_the_native_version_and_never_the_running_bundle(
    channel: Channel, state: DeviceState, asked: Any, other_name: str
) -> None:
    first = decide(world(channel), state, asked)
    if first.rule in (Rule.UP_TO_DATE, Rule.BUILTIN) or (first.rollout is not None):
        return
    changes = {"version_name": other_name, "raw_version_name": other_name}
    other = type(asked)(**{**{name: getattr(asked, name) for name in asked.__struct_fields__}, **changes})
    assert decide(world(channel), state, other).code == first.code


@given(channels, checks)
@settings(max_examples=300, deadline=None)
def test_a_device_that_runs_the_target_is_up_to_date_whatever_the_channel_forbids(channel: Channel, asked: Any) -> None:
    decision = decide(world(channel), NO_STATE, asked)
    if decision.bundle is not None and decision.bundle.name == asked.version_name:
        assert decision.rule in (Rule.CONTENT, Rule.KEY, Rule.UP_TO_DATE)


@given(channels, states, checks)
@settings(max_examples=300, deadline=None)
def test_a_device_counts_as_active_unless_its_version_or_plugin_is_refused(
    channel: Channel, state: DeviceState, asked: Any
) -> None:
    decision = decide(world(channel), state, asked)
    assert decision.counts_mau == (decision.rule not in (Rule.NATIVE_VERSION, Rule.PLUGIN))
    assert decision.counts_get == (decision.rule is Rule.UPDATE)
    if decision.device_version is not None:
        assert decision.device_version == (decision.target_name if decision.is_update else asked.version_name)


ORDER = {version: place for place, version in enumerate(["0.9.0", "1.0.0", "1.0.1", "1.1.0-rc.1", "1.1.0", "2.0.0"])}


@given(st.sampled_from(VERSIONS), st.sampled_from(VERSIONS), st.sampled_from(POLICIES), flags)
@settings(max_examples=300, deadline=None)
def test_each_policy_refuses_what_the_contract_says(target: str, native: str, policy: str, under_native: bool) -> None:
    bundle = zip_bundle(1, target, min_update_version="1.0.1")
    channel = production(bundle, disable_auto_update=policy, disable_auto_update_under_native=under_native)
    new, old = target.split("-")[0].split("."), native.split("-")[0].split(".")
    refused = {
        "major": int(new[0]) > int(old[0]),
        "minor": new[:2] != old[:2],
        "patch": new != old,
        "version_number": ORDER["1.0.1"] > ORDER[native],
        "none": False,
    }[policy]
    codes = {"version_number": "disable_auto_update_to_metadata"}
    expected = codes.get(policy, f"disable_auto_update_to_{policy}") if refused else None
    if expected is None and under_native and ORDER[target] < ORDER[native]:
        expected = "disable_auto_update_under_native"
    assert ask(world(channel), version_name="running", version_build=native).code == expected


# --- Channel and bundle ----------------------------------------------------------------------------------------------


def test_an_override_ignores_platform_public_and_self_set_flags_in_the_choice() -> None:
    app = notes(None, beta(android=False, allow_device_self_set=False))
    decision = ask(app, DeviceState(override_channel_id=12))
    assert decision.channel is not None
    assert decision.channel.name == "beta"
    assert decision.code == "disabled_platform_android"


@pytest.mark.parametrize("gone", [DeviceState(override_channel_id=12), DeviceState(override_channel_id=99)])
def test_an_override_onto_a_channel_that_does_not_count_falls_back_to_the_default(gone: DeviceState) -> None:
    decision = ask(notes(None, beta(stable=None)), gone)
    assert decision.channel is not None
    assert decision.channel.name == "production"


def test_an_override_onto_a_builtin_channel_holds_but_a_legacy_choice_of_one_does_not() -> None:
    app = notes(None, beta(version_id=None, stable=None))
    assert ask(app, DeviceState(override_channel_id=12)).bundle is BUILTIN
    assert ask(app, DeviceState(self_channel_id=12), plugin_version="7.33.0").target_name == "2.1.0"


def test_the_stored_choice_of_a_legacy_plugin_comes_before_the_override_and_is_not_read_for_modern_ones() -> None:
    state = DeviceState(self_channel_id=12, override_channel_id=11)
    assert ask(notes(), state, plugin_version="7.33.0").target_name == "2.2.0"
    assert ask(notes(), state).target_name == "2.1.0"


@pytest.mark.parametrize(
    ("channel", "name"),
    [
        (beta(), "nope"),
        (beta(), "Beta"),
        (beta(), "staff"),
        (beta(android=False), "beta"),
        (beta(stable=None), "beta"),
        (beta(allow_device_self_set=False), "beta"),
    ],
)
def test_a_named_default_channel_never_falls_back_to_the_public_one(channel: Channel, name: str) -> None:
    assert ask(notes(None, channel), defaultChannel=name).code == "no_channel"


def test_a_public_channel_may_be_named_and_may_be_any_platform_s() -> None:
    app = snapshot(
        "io.acme.notes",
        production(B_210, id=1, name="apple", android=False),
        production(B_220, id=2, name="robots", ios=False, electron=False),
    )
    assert ask(app, defaultChannel="robots").target_name == "2.2.0"
    assert [ask(app, platform=platform).target_name for platform in ("ios", "android", "electron")] == [
        "2.1.0",
        "2.2.0",
        "2.1.0",
    ]


def test_of_several_public_channels_the_first_by_name_and_id_that_counts_is_the_default() -> None:
    app = snapshot(
        "io.acme.notes",
        production(B_220, id=3, name="c"),
        production(B_210, id=2, name="b"),
        production(B_200, id=1, name="a", stable=None),
    )
    assert ask(app, version_name="1.0.0").target_name == "2.1.0"


def test_a_pinned_bundle_replaces_the_target_and_takes_part_in_no_rollout() -> None:
    pinned = DeviceState(pinned=B_220)
    decision = ask(roll(), pinned, version_name="1.9.0")
    assert (decision.target_name, decision.rollout, decision.is_update) == ("2.2.0", None, True)
    assert ask(roll(), pinned, version_name="2.2.0").rule is Rule.UP_TO_DATE
    assert ask(world(production(None)), pinned).target_name == "2.2.0"


def test_a_pinned_bundle_obeys_every_other_rule_of_the_channel() -> None:
    assert ask(notes(), DeviceState(pinned=B_300)).code == "disable_auto_update_to_major"
    assert ask(snapshot("io.acme.notes", STAFF), DeviceState(pinned=B_220)).code == "no_channel"


def test_a_rollout_whose_bundle_is_not_live_is_none_and_one_on_a_builtin_channel_is_offered() -> None:
    assert ask(roll(rollout=None), version_name="1.9.0").target_name == "2.0.0"
    main = production(None, rollout=B_210, rollout_enabled=True, rollout_percentage_bps=10_000)
    assert ask(world(main)).target_name == "2.1.0"


def test_at_zero_percent_even_a_device_on_the_rollout_bundle_goes_back() -> None:
    decision = ask(roll(rollout_percentage_bps=0), version_name="2.1.0")
    assert (decision.is_update, decision.target_name) == (True, "2.0.0")


def test_a_bundle_that_failed_on_the_device_is_not_offered_to_it_again() -> None:
    failed = DeviceState(failed_bundles=frozenset({B_210.id}))
    decision = ask(notes(), failed)
    assert (decision.rule, decision.code) == (Rule.FAILED_ON_DEVICE, "no_new_version_available")
    assert (decision.log, decision.device_version) == (("noNew", "2.1.0"), "2.0.0")
    assert ask(notes(), failed, version_name="2.1.0").rule is Rule.UP_TO_DATE
    assert ask(notes(production(B_220)), failed).is_update
    blocked = ask(notes(production(B_210, disable_auto_update="minor")), failed)
    assert blocked.rule is Rule.FAILED_ON_DEVICE


# --- Mended quirks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version_name", ["1.9.0", "nightly"])
def test_a_device_on_another_bundle_is_told_to_go_back_to_builtin(version_name: str) -> None:
    decision = ask(world(production(None)), version_name=version_name, plugin_version="6.2.0")
    assert (decision.rule, decision.code, decision.bundle) == (Rule.BUILTIN, None, BUILTIN)
    assert (decision.log, decision.device_version, decision.counts_get, decision.counts_mau) == (
        None,
        None,
        False,
        True,
    )


@pytest.mark.parametrize(
    ("version_name", "version_build"),
    [("builtin", "2.0.0"), ("2.0.0", "2.0.0"), ("2.0", "v2.0"), ("builtin", "unknown")],
)
def test_a_device_on_its_native_bundle_is_already_on_builtin(version_name: str, version_build: str) -> None:
    decision = ask(world(production(None)), version_name=version_name, version_build=version_build)
    assert decision.code == "already_on_builtin"


@pytest.mark.parametrize("plugin_version", ["5.50.2", "6.1.9", "0.0.1"])
def test_a_plugin_that_cannot_go_back_is_told_so(plugin_version: str) -> None:
    decision = ask(world(production(None)), version_name="1.9.0", plugin_version=plugin_version)
    assert decision.code == "revert_to_builtin_plugin_version_too_old"


def test_a_builtin_target_passes_version_policies_but_not_the_flags() -> None:
    for policy in POLICIES:
        channel = production(None, disable_auto_update=policy)
        assert ask(world(channel), version_build="9.0.0").rule is Rule.BUILTIN
    assert ask(world(production(None, allow_prod=False))).code == "disable_prod_build"
    assert ask(world(production(None, android=False)), ON_PRODUCTION).code == "disabled_platform_android"


@pytest.mark.parametrize("policy", ["major", "minor", "patch"])
def test_a_name_that_a_policy_cannot_compare_is_refused_at_that_policy(policy: str) -> None:
    decision = ask(world(production(B_NIGHTLY, disable_auto_update=policy)))
    assert (decision.code, decision.rule.value) == ("semver_error", f"policy_{policy}")
    assert "nightly-7" in decision.message
    assert "semver" in decision.message
    off = production(B_NIGHTLY, disable_auto_update=policy, android=False)
    assert ask(world(off), ON_PRODUCTION).rule is Rule.PLATFORM


def test_a_name_that_is_no_version_is_served_where_nothing_compares_it() -> None:
    channel = production(B_NIGHTLY, disable_auto_update="none")
    assert ask(world(channel)).rule is Rule.UNDER_NATIVE
    assert ask(
        world(production(B_NIGHTLY, disable_auto_update="none", disable_auto_update_under_native=False))
    ).is_update


def test_a_min_update_version_that_is_no_version_is_said_so() -> None:
    bundle = zip_bundle(1, "2.1.0", min_update_version="soon")
    decision = ask(world(production(bundle, disable_auto_update="version_number")))
    assert (decision.code, decision.rule) == ("semver_error", Rule.MIN_VERSION)
    assert "soon" in decision.message


# --- Content and address ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("https://cdn.example/a.zip", None),
        ("HTTP://cdn.example", None),
        ("https://cdn.example?x=1", None),
        ("ftp://cdn.example/a.zip", "no_bundle_url"),
        ("https://", "no_bundle_url"),
        ("https:///a.zip", "no_bundle_url"),
        ("/a.zip", "no_bundle_url"),
        ("https://cdn.example/a b.zip", "no_bundle_url"),
    ],
)
def test_an_external_url_must_be_http_even_beside_delta_files(url: str, code: str | None) -> None:
    assert ask(world(production(Bundle(id=1, name="2.1.0", external_url=url, has_manifest=True)))).code == code


def test_a_bundle_with_delta_files_only_is_offered() -> None:
    assert ask(world(production(Bundle(id=1, name="2.1.0", has_manifest=True)))).is_update
    assert ask(world(production(B_230))).code == "no_bundle"


@pytest.mark.parametrize(
    ("key_id", "plugin_version", "code"),
    [("other", "8.40.8", "key_id_mismatch"), ("other", "8.40.7", None), ("", "8.47.0", None)],
)
def test_keys_are_compared_only_where_both_are_known_in_full(
    key_id: str, plugin_version: str, code: str | None
) -> None:
    decision = ask(world(production(B_240)), key_id=key_id, plugin_version=plugin_version)
    assert decision.code == code
    assert ask(world(production(B_210)), key_id="other").is_update


# --- Records ---------------------------------------------------------------------------------------------------------


def test_a_deprecated_plugin_is_noticed_beside_what_the_rule_notices() -> None:
    app = world(production(B_300))
    assert ask(app, plugin_version="7.24.0").notices == ("user:plugin_issue", "device:upgrade_blocked")
    assert ask(app).notices == ("device:upgrade_blocked",)
    assert ask(notes(), plugin_version="7.24.0").notices == ("user:plugin_issue",)
    assert ask(notes(), plugin_version="7.24.0", version_build="99999999999999999999.0.0").notices == (
        "user:semver_issue",
    )
