"""POST /channel: what is stored and what is answered (contract: public 14.2)."""

from __future__ import annotations

from typing import Any

import pytest

from capstan.db.tables import channels, deploy_history
from tests.channels.requests import put, read, refusal
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, OWNER, World

PLAIN: dict[str, Any] = {
    "disableAutoUpdateUnderNative": False,
    "disableAutoUpdate": "patch",
    "ios": False,
    "android": False,
    "electron": False,
    "allow_device_self_set": True,
    "allow_emulator": False,
    "allow_device": False,
    "allow_dev": False,
    "allow_prod": False,
    "rolloutPercentageBps": 2500,
    "rolloutEnabled": True,
    "rolloutCacheTtlSeconds": 60,
    "autoPauseEnabled": True,
    "autoPauseWindowMinutes": 10_080,
    "autoPauseFailureRateBps": 500,
    "autoPauseConfidence": 0.99,
    "autoPauseMinAttempts": 100,
    "autoPauseMinFailures": 0,
    "autoPauseAction": "rollback",
    "autoPauseCooldownMinutes": 0,
}
NULLABLE = ("autoPauseFailureRateBps", "autoPauseMinAttempts", "autoPauseMinFailures")


def test_everything_but_the_rollout_bundle_may_be_set_at_creation(world: World) -> None:
    put(world, **PLAIN)
    channel = read(world)
    assert {name: channel[name] for name in PLAIN} == PLAIN


def test_a_change_changes_what_it_names_and_nothing_else(world: World) -> None:
    put(world)
    before = read(world)
    for name, value in PLAIN.items():
        put(world, **{name: value})
        after = read(world)
        assert {member for member in before if before[member] != after[member]} == {name, "updated_at"}
        assert after[name] == value
        before = after


def test_every_camel_case_member_has_a_snake_case_alias(world: World) -> None:
    aliases: dict[str, Any] = {
        "disable_auto_update_under_native": False,
        "disable_auto_update": "minor",
        "rollout_percentage_bps": 100,
        "rollout_enabled": True,
        "rollout_paused": True,
        "rollout_pause_reason": "holidays",
        "rollout_cache_ttl_seconds": 61,
        "auto_pause_enabled": True,
        "auto_pause_window_minutes": 2,
        "auto_pause_failure_rate_bps": 3,
        "auto_pause_confidence": 0.5,
        "auto_pause_min_attempts": 4,
        "auto_pause_min_failures": 5,
        "auto_pause_action": "notify",
        "auto_pause_cooldown_minutes": 6,
    }
    put(world, **aliases)
    channel = read(world)
    assert channel["rolloutPausedAt"] is not None
    assert channel["rolloutPauseReason"] == "holidays"
    assert channel["disableAutoUpdate"] == "minor"
    numbers = ("rolloutPercentageBps", "rolloutCacheTtlSeconds", "autoPauseWindowMinutes", "autoPauseFailureRateBps")
    assert [channel[name] for name in numbers] == [100, 61, 2, 3]
    more = ("autoPauseConfidence", "autoPauseMinAttempts", "autoPauseMinFailures", "autoPauseAction")
    assert [channel[name] for name in more] == [0.5, 4, 5, "notify"]


def test_the_camel_case_name_wins_over_its_alias(world: World) -> None:
    put(world, rolloutPercentageBps=100, rollout_percentage_bps=200)
    assert read(world)["rolloutPercentageBps"] == 100
    put(world, rolloutEnabled=None, rollout_enabled=True)
    assert read(world)["rolloutEnabled"] is True


def test_metadata_is_another_word_for_version_number(world: World) -> None:
    put(world, disableAutoUpdate="metadata")
    assert read(world)["disableAutoUpdate"] == "version_number"


def test_every_policy_is_accepted(world: World) -> None:
    for policy in ("minor", "patch", "version_number", "none", "major"):
        put(world, disableAutoUpdate=policy)
        assert read(world)["disableAutoUpdate"] == policy


def test_null_means_not_given_for_what_has_no_null(world: World) -> None:
    put(world, **PLAIN)
    no_null: dict[str, Any] = {name: None for name in PLAIN if name not in NULLABLE}
    put(world, **no_null, rollback=None, promoteToStable=None, rolloutPaused=None, public=None, rolloutPercentage=None)
    channel = read(world)
    assert {name: channel[name] for name in PLAIN} == PLAIN


def test_null_is_a_value_for_what_may_be_unlimited(world: World) -> None:
    put(world, **PLAIN)
    put(world, **dict.fromkeys(NULLABLE))
    assert [read(world)[name] for name in NULLABLE] == [None, None, None]


def test_values_may_come_from_the_query(world: World) -> None:
    world.add_bundle("1.0.0")
    query = {
        "app_id": APP, "channel": "beta", "version": "1.0.0", "public": "false", "allow_dev": "false",
        "rolloutPercentage": "12.5", "autoPauseConfidence": "0.9", "autoPauseMinAttempts": "7",
        "autoPauseAction": "notify",
    }  # fmt: skip
    accepted(world.owner.request("POST", "/channel", query=query))
    channel = read(world)
    assert channel["version"]["name"] == "1.0.0"
    assert (channel["public"], channel["allow_dev"]) == (False, False)
    numbers = ("rolloutPercentageBps", "autoPauseConfidence", "autoPauseMinAttempts", "autoPauseAction")
    assert [channel[name] for name in numbers] == [1250, 0.9, 7, "notify"]
    over = world.owner.request("POST", "/channel", query={**query, "rolloutPercentageBps": "10001"})
    assert refused(over) == (400, "invalid_rollout_config")


def test_a_bundle_is_set_by_name_and_only_when_it_is_named(world: World) -> None:
    world.add_bundle("1.0.0")
    put(world, version="1.0.0")
    put(world, public=False)
    assert read(world)["version"]["name"] == "1.0.0"


def test_no_bundle_has_four_names(world: World) -> None:
    world.add_bundle("1.0.0")
    for nothing in (None, "", "builtin", "unknown"):
        put(world, f"new {nothing}", version=nothing)
        assert read(world, f"new {nothing}")["version"] is None
        put(world, version="1.0.0")
        put(world, version=nothing)
        assert read(world)["version"] is None


@pytest.mark.parametrize("exists", [False, True])
def test_an_unknown_or_deleted_or_foreign_bundle_is_refused(world: World, exists: bool) -> None:
    if exists:
        put(world)
    world.add_bundle("1.0.0", deleted=True)
    world.add_bundle("3.0.0", world.add_app("com.other.app"))
    for version in ("9.9.9", "1.0.0", "3.0.0", "x" * 5000):
        answer = world.owner.post("/channel", app_id=APP, channel="beta", version=version, public=True)
        assert refused(answer) == (400, "cannot_find_version")
        assert answer.json()["message"] == "Cannot find version"
    assert [row["public"] for row in world.rows(channels)] == [False] * exists


def test_a_bundle_that_is_no_semver_may_be_set(world: World) -> None:
    world.add_bundle("nightly-7")
    put(world, version="nightly-7", disableAutoUpdate="minor")
    assert read(world)["version"]["name"] == "nightly-7"


def test_a_bundle_whose_upload_is_not_finished_is_refused(world: World) -> None:
    world.add_bundle("1.0.0")
    world.add_bundle("2.0.0", storage_provider="r2-direct", external_url=None)
    put(world, version="1.0.0")
    assert refusal(world, version="2.0.0") == (400, "cannot_set_bundle_to_channel")
    assert refusal(world, rolloutVersion="2.0.0") == (400, "cannot_set_bundle_to_channel")
    assert refusal(world, channel="new", version="2.0.0") == (400, "cannot_set_bundle_to_channel")
    assert read(world)["version"]["name"] == "1.0.0"


def test_each_new_bundle_is_a_deployment(world: World) -> None:
    first, second = world.add_bundle("1.0.0"), world.add_bundle("2.0.0")
    put(world, version="1.0.0")
    put(world, version="1.0.0")
    put(world, version="2.0.0")
    put(world, version=None)
    put(world, version="1.0.0")
    deployments = world.rows(deploy_history)
    assert [row["version_id"] for row in deployments] == [first, second, first]
    assert {(row["app_id"], row["owner_org"], row["created_by"]) for row in deployments} == {(APP, ORG, OWNER)}


def test_the_seed_dialect_answers_nothing_but_ok(world: World) -> None:
    world.add_bundle("1.0.0")
    answer = world.owner.post("/channel", app_id=APP, channel="beta", version="1.0.0")
    assert accepted(answer) == {"status": "ok"}


def test_the_modern_dialect_names_a_channel_created_with_a_bundle(world: World) -> None:
    world.add_bundle("1.0.0")
    answer = world.modern.post("/channel", app_id=APP, channel="beta", version="1.0.0", public=True)
    assert accepted(answer) == {"status": "ok", "id": read(world)["id"], "public": True}
    again = world.modern.post("/channel", app_id=APP, channel="beta", version="1.0.0")
    assert accepted(again) == {"status": "ok"}
    assert accepted(world.modern.post("/channel", app_id=APP, channel="empty")) == {"status": "ok"}


def test_a_header_chooses_the_dialect_over_the_place_of_the_key(world: World) -> None:
    world.add_bundle("1.0.0")
    modern = world.owner.also_sending({"capgo_api": "2026-01-19"})
    assert "id" in accepted(modern.post("/channel", app_id=APP, channel="a", version="1.0.0"))
    seed = world.modern.also_sending({"capgo_api": "2025-10-01"})
    assert accepted(seed.post("/channel", app_id=APP, channel="b", version="1.0.0")) == {"status": "ok"}
