"""POST /channel: who may (contract: public 8, 14.2)."""

from __future__ import annotations

import pytest

from capstan.access import check
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, KeyMode
from capstan.access.roles import ROLES, Role
from capstan.db.tables import apikeys, channels
from tests.channels.requests import put, read, refusal
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, OWNER, World


@pytest.mark.parametrize("mode", ["read", "upload"])
def test_keys_that_do_not_write_are_refused(world: World, mode: KeyMode) -> None:
    put(world)
    caller = world.caller_of_mode(mode)
    assert refusal(world, caller, "beta", public=True) == (400, "cannot_access_app")
    assert refusal(world, caller, "new") == (400, "cannot_access_app")


@pytest.mark.parametrize("mode", ["write", "all"])
def test_keys_that_write_may_do_all_of_it(world: World, mode: KeyMode) -> None:
    caller = world.caller_of_mode(mode)
    world.add_bundle("1.0.0")
    world.add_bundle("1.1.0")
    for members in (
        {"version": "1.0.0"},
        {"public": True},
        {"rolloutVersion": "1.1.0", "rolloutEnabled": True, "rolloutPercentage": 10},
        {"promoteToStable": True},
    ):
        accepted(caller.post("/channel", app_id=APP, channel="beta", **members))
    assert read(world)["version"]["name"] == "1.1.0"
    assert read(world)["created_by"] == OWNER


def test_a_developer_creates_channels_but_changes_no_settings(world: World) -> None:
    world.add_bundle("1.0.0")
    developer = world.caller_with_roles(world.on_app("app_developer"))
    accepted(developer.post("/channel", app_id=APP, channel="beta", version="1.0.0"))
    assert refusal(world, developer, "beta", version="1.0.0") == (400, "cannot_access_app")


def test_who_may_not_promote_changes_settings_but_no_bundle(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """No role of the contract is like this; the two rights are separate all the same."""
    admin = ROLES["app_admin"]
    narrow = Role(admin.name, "app", admin.rank, admin.grants - {Permission.CHANNEL_PROMOTE_BUNDLE})
    monkeypatch.setattr(check, "ROLES", {**ROLES, "app_admin": narrow})
    world.add_bundle("1.0.0")
    world.add_bundle("1.1.0")
    put(world, version="1.0.0")
    caller = world.caller_with_roles(world.on_app("app_admin"))
    accepted(caller.post("/channel", app_id=APP, channel="beta", public=True, rolloutPercentageBps=5))
    for members in (
        {"version": "1.1.0"},
        {"version": None},
        {"rolloutVersion": "1.1.0"},
        {"rolloutVersion": None},
        {"rollback": True},
        {"promoteToStable": True},
    ):
        assert refusal(world, caller, "beta", **members) == (400, "cannot_promote_bundle")
    assert refusal(world, caller, "new", version="1.1.0") == (400, "cannot_promote_bundle")
    accepted(caller.post("/channel", app_id=APP, channel="new", version=None))
    accepted(caller.post("/channel", app_id=APP, channel="beta", rollback=False, promoteToStable=False))


def test_an_admin_of_one_channel_changes_that_one_only(world: World) -> None:
    put(world)
    put(world, "other")
    caller = world.caller_with_roles(world.on_channel("channel_admin", world.rows(channels)[0]))
    accepted(caller.post("/channel", app_id=APP, channel="beta", public=True))
    for name in ("other", "new"):
        assert refusal(world, caller, name, public=True) == (400, "cannot_access_app")


def test_a_member_of_the_organization_alone_may_not(world: World) -> None:
    member = world.caller_with_roles(Binding.on_org("org_member", ORG))
    assert refusal(world, member) == (400, "cannot_access_app")


def test_a_preview_key_rules_the_channels_that_it_creates(world: World) -> None:
    preview = world.caller_with_roles(world.on_app("app_preview"))
    other = world.caller_with_roles(world.on_app("app_preview"))
    put(world, "production")
    accepted(preview.post("/channel", app_id=APP, channel="pr-7"))
    assert refusal(world, preview, "production", public=True) == (400, "cannot_access_app")
    for caller, name, code in (
        (preview, "production", "cannot_find_channel"),
        (other, "pr-7", "cannot_find_channel"),
    ):
        assert refused(caller.delete("/channel", app_id=APP, channel=name)) == (400, code)
    assert accepted(preview.delete("/channel", app_id=APP, channel="pr-7")) == {"status": "ok"}


def test_a_preview_key_offers_only_what_it_uploaded(world: World) -> None:
    preview = world.caller_with_roles(world.on_app("app_preview"))
    world.add_bundle("1.0.0")
    own = world.rows(apikeys)[-1]["rbac_id"]
    world.add_bundle("2.0.0", created_by_apikey_rbac_id=own)
    assert refusal(world, preview, "pr-7", version="1.0.0") == (400, "cannot_set_bundle_to_channel")
    assert world.rows(channels) == []
    accepted(preview.post("/channel", app_id=APP, channel="pr-7", version="2.0.0"))
    assert read(world, "pr-7")["version"]["name"] == "2.0.0"
