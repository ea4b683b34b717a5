"""DELETE /channel (contract: public 14.3)."""

from __future__ import annotations

import pytest

from capstan.access.principal import Binding, KeyMode
from capstan.db.tables import app_versions, channel_devices, channels, deploy_history, role_bindings
from tests.channels.requests import put, read, refusal
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, World

DEVICE = "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10"


def test_a_channel_is_deleted_by_query_or_by_body(world: World) -> None:
    for name in ("by query", "by body"):
        put(world, name)
    assert accepted(world.owner.delete("/channel", app_id=APP, channel="by query")) == {"status": "ok"}
    by_body = world.owner.request("DELETE", "/channel", body={"app_id": APP, "channel": "by body"})
    assert accepted(by_body) == {"status": "ok"}
    assert world.rows(channels) == []


def test_a_second_deletion_finds_nothing(world: World) -> None:
    put(world)
    accepted(world.owner.delete("/channel", app_id=APP, channel="beta"))
    answer = world.owner.delete("/channel", app_id=APP, channel="beta")
    assert refused(answer) == (400, "cannot_find_channel")


def test_the_channels_own_things_go_with_it_and_bundles_stay(world: World) -> None:
    world.add_bundle("1.0.0")
    put(world, version="1.0.0")
    world.caller_with_roles(world.on_channel("channel_admin", world.rows(channels)[0]))
    accepted(world.owner.post("/device", app_id=APP, device_id=DEVICE, channel="beta"))
    assert world.app()["channel_device_count"] == 1
    revision = world.app()["revision"]
    accepted(world.owner.delete("/channel", app_id=APP, channel="beta"))
    assert world.rows(channels) == world.rows(channel_devices) == world.rows(deploy_history) == []
    assert all(row["channel_id"] is None for row in world.rows(role_bindings))
    assert len(world.rows(app_versions)) == 1
    assert world.app()["channel_device_count"] == 0
    assert world.app()["revision"] == revision + 1
    put(world)
    assert read(world)["version"] is None


def test_the_audit_log_keeps_what_was_deleted(world: World) -> None:
    put(world)
    channel_id = read(world)["id"]
    accepted(world.owner.delete("/channel", app_id=APP, channel="beta"))
    entry = world.audit_of("channels")[-1]
    assert (entry["operation"], entry["record_id"], entry["actor_type"]) == ("DELETE", str(channel_id), "apikey")
    assert entry["old_record"]["name"] == "beta"
    assert entry["new_record"] is entry["changed_fields"] is None


def test_refusals_come_in_the_contracts_order(world: World) -> None:
    put(world)
    reader = world.caller_of_mode("read")
    assert refused(reader.delete("/channel", channel="")) == (400, "missing_app_id")
    assert refused(reader.delete("/channel", app_id="invalid_app")) == (400, "invalid_app_id")
    answer = reader.delete("/channel", app_id=APP)
    assert refused(answer) == (400, "missing_channel_name")
    assert answer.json()["message"] == "You must provide a channel name"
    assert refused(reader.delete("/channel", app_id=APP, channel="none")) == (400, "cannot_find_channel")
    answer = reader.delete("/channel", app_id=APP, channel="beta")
    assert refused(answer) == (400, "cannot_access_app")
    assert answer.json()["moreInfo"] == {"app_id": APP, "channel_id": read(world)["id"]}


@pytest.mark.parametrize(("mode", "may"), [("read", False), ("upload", False), ("write", True), ("all", True)])
def test_keys_that_write_may_delete(world: World, mode: KeyMode, may: bool) -> None:
    put(world)
    answer = world.caller_of_mode(mode).delete("/channel", app_id=APP, channel="beta")
    if may:
        assert accepted(answer) == {"status": "ok"}
    else:
        assert refused(answer) == (400, "cannot_access_app")


@pytest.mark.parametrize(
    ("role", "may"), [("org_super_admin", True), ("org_admin", False), ("app_admin", True), ("app_developer", False)]
)
def test_an_administrator_of_the_organization_may_not_but_one_of_the_app_may(
    world: World, role: str, may: bool
) -> None:
    put(world)
    binding = Binding.on_org(role, ORG) if role.startswith("org") else world.on_app(role)
    answer = world.caller_with_roles(binding).delete("/channel", app_id=APP, channel="beta")
    assert answer.status_code == (200 if may else 400)


def test_strangers_cannot_tell_existing_from_missing(world: World) -> None:
    put(world)
    stranger = world.caller_of_mode("all", world.add_org("Foreign"))
    existing, missing, no_app = (
        stranger.delete("/channel", app_id=app_id, channel=name)
        for app_id, name in ((APP, "beta"), (APP, "none"), ("com.unknown.app", "beta"))
    )
    assert refused(existing) == refused(missing) == refused(no_app) == (400, "cannot_find_channel")
    assert read(world)["name"] == "beta"


def test_a_new_channel_of_the_same_name_is_another_channel(world: World) -> None:
    put(world, allow_dev=False)
    before = read(world)
    accepted(world.owner.delete("/channel", app_id=APP, channel="beta"))
    put(world)
    after = read(world)
    assert after["allow_dev"] is True
    assert after["rollout_id"] != before["rollout_id"]
    assert refusal(world, promoteToStable=True) == (400, "missing_rollout_version")
