"""GET /apikey and GET /apikey/:id (contract: public 12.1, 12.2)."""

from __future__ import annotations

from datetime import datetime

import pytest

from capstan.access.principal import Binding
from capstan.apikeys.api import KeyRules
from capstan.db.tables import apikeys
from tests.apikeys.requests import make, make_of_mode
from tests.members.people import add_person, make_owner
from tests.public_api.plane import Caller, accepted, build_plane, refused
from tests.public_api.world import ORG, OWNER, World


def test_the_older_shape_lists_every_key_with_mode_and_secret(world: World) -> None:
    made = make_of_mode(world.owner, "read")
    own, listed = accepted(world.owner.get("/apikey"))
    assert (own["key"], own["mode"]) == (world.secret, "all")
    assert listed == {name: value for name, value in made.items() if name not in ("apikey", "key_hash")}
    assert (listed["mode"], listed["user_id"], listed["limited_to_orgs"]) == ("read", OWNER, [ORG])
    assert datetime.fromisoformat(listed["created_at"]).tzinfo is not None


def test_the_newer_shape_never_holds_a_secret(world: World) -> None:
    make_of_mode(world.owner, "read")
    for key in accepted(world.modern.get("/apikey")):
        assert key.keys() == {
            "id", "user_id", "name", "rbac_id", "created_at", "updated_at", "expires_at", "is_hashed_key", "mode",
            "limited_to_orgs", "limited_to_apps", "global_permissions",
        }  # fmt: skip
        assert accepted(world.modern.get(f"/apikey/{key['id']}")) == key


def test_answers_with_secrets_are_not_to_be_stored(world: World) -> None:
    assert world.owner.get("/apikey").headers["cache-control"] == "no-store"


def test_a_key_is_found_by_its_number_and_a_plain_one_by_its_secret(world: World) -> None:
    plain, hashed = make_of_mode(world.owner, "read"), make_of_mode(world.owner, "read", hashed="true")
    for identifier in (plain["id"], plain["key"]):
        assert accepted(world.owner.get(f"/apikey/{identifier}"))["id"] == plain["id"]
    assert refused(world.owner.get(f"/apikey/{hashed['key']}")) == (404, "failed_to_get_apikey")
    assert accepted(world.owner.get(f"/apikey/{hashed['id']}"))["key"] == "********"


@pytest.mark.parametrize("identifier", ["short", "-1", "%20" * 9, "a" * 257, "1234567ä"])
def test_an_id_that_is_neither_number_nor_secret_is_refused(world: World, identifier: str) -> None:
    assert refused(world.owner.get(f"/apikey/{identifier}")) == (400, "invalid_id_format")
    assert refused(world.owner.delete(f"/apikey/{identifier}")) == (400, "invalid_id_format")


def test_a_key_that_does_not_exist_is_not_found(world: World) -> None:
    for identifier in ("424242", "9" * 18, "9" * 40, "11111111-2222-4333-8444-555555555555"):
        answer = world.owner.get(f"/apikey/{identifier}")
        assert refused(answer) == (404, "failed_to_get_apikey")
        assert answer.json()["supabaseError"] is None


def test_keys_of_other_people_are_as_if_they_were_not_there(world: World) -> None:
    stranger = add_person(world, "ann@example.com", Binding.on_org("org_super_admin", ORG))
    key = make(stranger.calls)
    assert key["id"] not in [listed["id"] for listed in accepted(world.owner.get("/apikey"))]
    for identifier in (key["id"], key["key"]):
        assert refused(world.owner.get(f"/apikey/{identifier}")) == (404, "failed_to_get_apikey")
        assert refused(world.owner.delete(f"/apikey/{identifier}")) == (404, "api_key_not_found")
    answer = world.owner.request("PUT", f"/apikey/{key['id']}", body={"name": "mine"})
    assert refused(answer) == (404, "api_key_not_found_or_access_denied")


def test_a_person_sees_all_own_keys_and_a_managing_key_those_within_its_reach(world: World) -> None:
    other = world.add_org("Other")
    world.caller_of_mode("read", other)
    world.caller_with_roles()
    manager = world.caller_with_roles(Binding.on_org("apikey_manager", ORG))
    assert len(accepted(make_owner(world).calls.get("/apikey"))) == 4
    listed = accepted(manager.also_sending({"capgo_api": "2026-01-19"}).get("/apikey"))
    assert {tuple(key["limited_to_orgs"]) for key in listed} == {(ORG,)}
    elsewhere = next(key["id"] for key in world.rows(apikeys) if key["id"] not in [one["id"] for one in listed])
    assert refused(manager.get(f"/apikey/{elsewhere}")) == (401, "cannot_get_apikey")


def test_a_key_without_the_right_to_manage_sees_only_itself_and_only_in_the_older_shape(world: World) -> None:
    reader = world.caller_of_mode("read")
    (itself,) = accepted(reader.get("/apikey"))
    assert itself["key"] == reader.headers["authorization"]
    answer = reader.also_sending({"capgo_api": "2026-01-19"}).get("/apikey")
    assert refused(answer) == (401, "cannot_list_apikeys")
    assert refused(reader.get(f"/apikey/{itself['id']}")) == (401, "cannot_get_apikey")


def test_the_secret_of_a_key_that_stands_above_the_caller_is_masked(world: World) -> None:
    manager = world.caller_with_roles(Binding.on_org("apikey_manager", ORG))
    shown = {key["mode"]: key["key"] for key in accepted(manager.get("/apikey"))}
    assert shown == {"all": f"{world.secret[:8]}…", "read": manager.headers["authorization"]}


def test_an_operator_may_have_all_secrets_masked(world: World) -> None:
    plane = build_plane(world.registry, world.telemetry, world.clock, key_rules=KeyRules(always_masked=True))
    masked = Caller(plane, world.runner, world.owner.headers)
    assert [key["key"] for key in accepted(masked.get("/apikey"))] == [f"{world.secret[:8]}…"]


def test_a_secret_that_no_known_secret_key_opens_is_masked(world: World) -> None:
    world.alter(apikeys, {"key_sealed": "v1.AAAA"})
    assert [key["key"] for key in accepted(world.owner.get("/apikey"))] == ["********"]


def test_without_credentials_the_caller_is_told_so(world: World) -> None:
    assert refused(world.owner.with_headers({}).get("/apikey")) == (401, "no_jwt_apikey_or_subkey")
