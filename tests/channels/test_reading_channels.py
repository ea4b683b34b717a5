"""GET /channel (contract: public 14.1)."""

from __future__ import annotations

from datetime import datetime

import pytest

from capstan.access.principal import Binding, KeyMode
from capstan.db.tables import channels
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, OWNER, World

MEMBERS = {
    "id", "created_at", "name", "app_id", "created_by", "updated_at", "public", "version",
    "disableAutoUpdateUnderNative", "disableAutoUpdate", "ios", "android", "electron", "allow_device_self_set",
    "allow_emulator", "allow_device", "allow_dev", "allow_prod", "rollout_version", "rollout_id",
    "rollout_version_info", "rolloutPercentageBps", "rolloutEnabled", "rolloutPausedAt", "rolloutPauseReason",
    "rolloutCacheTtlSeconds", "autoPauseEnabled", "autoPauseWindowMinutes", "autoPauseFailureRateBps",
    "autoPauseConfidence", "autoPauseMinAttempts", "autoPauseMinFailures", "autoPauseAction",
    "autoPauseCooldownMinutes", "autoPauseLastTriggeredAt", "autoPauseLastCheckedAt",
}  # fmt: skip


def test_a_new_channel_reads_with_the_defaults_of_the_contract(world: World) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    channel = accepted(world.owner.get("/channel", app_id=APP, channel="beta"))
    assert channel.keys() == MEMBERS
    assert (channel["name"], channel["app_id"], channel["created_by"]) == ("beta", APP, OWNER)
    assert channel["version"] is None
    assert channel["public"] is channel["allow_device_self_set"] is channel["rolloutEnabled"] is False
    on = ("ios", "android", "electron", "allow_emulator", "allow_device", "allow_dev", "allow_prod")
    assert all(channel[name] is True for name in on)
    assert (channel["disableAutoUpdate"], channel["disableAutoUpdateUnderNative"]) == ("major", True)
    assert channel["rollout_version"] is channel["rollout_version_info"] is None
    assert (channel["rolloutPercentageBps"], channel["rolloutCacheTtlSeconds"]) == (0, 2_592_000)
    assert channel["autoPauseEnabled"] is False
    assert (channel["autoPauseWindowMinutes"], channel["autoPauseCooldownMinutes"]) == (60, 60)
    assert (channel["autoPauseConfidence"], channel["autoPauseAction"]) == (0.95, "pause")
    for name in ("autoPauseFailureRateBps", "autoPauseMinAttempts", "autoPauseLastTriggeredAt", "rolloutPausedAt"):
        assert channel[name] is None
    for name in ("created_at", "updated_at"):
        assert datetime.fromisoformat(channel[name]).tzinfo is not None


def test_bundles_are_told_by_id_and_name(world: World) -> None:
    stable, target = world.add_bundle("1.0.0"), world.add_bundle("1.1.0")
    accepted(world.owner.post("/channel", app_id=APP, channel="beta", version="1.0.0"))
    accepted(world.owner.post("/channel", app_id=APP, channel="beta", rolloutVersion="1.1.0"))
    (channel,) = accepted(world.owner.get("/channel", app_id=APP))
    assert channel["version"] == {"id": stable, "name": "1.0.0"}
    assert channel["rollout_version"] == target
    assert channel["rollout_version_info"] == {"id": target, "name": "1.1.0"}


def test_channels_come_oldest_first_fifty_a_page(world: World) -> None:
    names = [f"channel-{n}" for n in range(60)]
    for name in names:
        accepted(world.owner.post("/channel", app_id=APP, channel=name))
    first, second, third = (accepted(world.owner.get("/channel", app_id=APP, page=page)) for page in ("0", "1", "2"))
    assert [channel["name"] for channel in first + second] == names
    assert len(first) == 50
    assert third == []
    in_body = world.owner.request("GET", "/channel", body={"app_id": APP, "page": 1})
    assert accepted(in_body) == second


def test_an_app_without_channels_has_an_empty_list(world: World) -> None:
    assert accepted(world.owner.get("/channel", app_id=APP)) == []
    assert accepted(world.owner.get("/channel", app_id=APP, channel="")) == []


def test_channels_of_other_apps_are_not_shown(world: World) -> None:
    world.add_app("com.other.app")
    accepted(world.owner.post("/channel", app_id="com.other.app", channel="beta"))
    assert accepted(world.owner.get("/channel", app_id=APP)) == []
    assert refused(world.owner.get("/channel", app_id=APP, channel="beta")) == (400, "cannot_find_version")


@pytest.mark.parametrize("page", ["-1", "x", "1.5", "99999999999999999999", str(2**62), "null"])
def test_a_page_that_is_no_number_is_refused_unless_one_channel_is_asked_for(world: World, page: str) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    assert refused(world.owner.get("/channel", app_id=APP, page=page)) == (400, "invalid_body")
    assert accepted(world.owner.get("/channel", app_id=APP, page=page, channel="beta"))["name"] == "beta"


def test_a_missing_channel_is_refused_with_the_contracts_own_word(world: World) -> None:
    answer = world.owner.get("/channel", app_id=APP, channel="none")
    assert refused(answer) == (400, "cannot_find_version")
    assert answer.json()["message"] == "Cannot find version"


def test_the_app_id_comes_first(world: World) -> None:
    assert refused(world.owner.get("/channel")) == (400, "missing_app_id")
    assert refused(world.owner.get("/channel", app_id="invalid_app", channel="none")) == (400, "invalid_app_id")


def test_an_unknown_app_and_one_out_of_reach_look_alike(world: World) -> None:
    world.add_app("com.foreign.app", world.add_org("Foreign"))
    for app_id in ("com.foreign.app", "com.unknown.app"):
        answer = world.owner.get("/channel", app_id=app_id)
        assert refused(answer) == (400, "cannot_access_app")
        assert answer.json()["moreInfo"] == {"app_id": app_id}
        assert answer.json()["message"] == "You can't access this app"


@pytest.mark.parametrize("mode", ["read", "upload", "write", "all"])
def test_a_key_of_any_mode_reads_channels(world: World, mode: KeyMode) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    assert len(accepted(world.caller_of_mode(mode).get("/channel", app_id=APP))) == 1


def test_roles_that_do_not_read_channels_are_refused(world: World) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    (channel,) = world.rows(channels)
    for binding in (
        Binding.on_org("org_member", ORG),
        world.on_app("app_preview"),
        world.on_app("app_notifications"),
        world.on_channel("channel_admin", channel),
    ):
        caller = world.caller_with_roles(binding)
        assert refused(caller.get("/channel", app_id=APP)) == (400, "cannot_access_app")


def test_an_app_role_shows_channels_of_that_app_only(world: World) -> None:
    world.add_app("com.other.app")
    for app_id in (APP, "com.other.app"):
        accepted(world.owner.post("/channel", app_id=app_id, channel="beta"))
    reader = world.caller_with_roles(world.on_app("app_reader"))
    assert [channel["app_id"] for channel in accepted(reader.get("/channel", app_id=APP))] == [APP]
    assert refused(reader.get("/channel", app_id="com.other.app")) == (400, "cannot_access_app")
