"""POST /apikey with `org_id` and `mode` (contract: public 12.3, 8.4, CD-11, CD-14, CD-23, CD-43)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capstan.access.principal import Binding
from capstan.apikeys.api import KeyRules
from capstan.db.tables import orgs, role_bindings
from tests.apikeys.requests import make_of_mode
from tests.members.people import make_owner
from tests.public_api.plane import Caller, accepted, build_plane, refused
from tests.public_api.world import APP, ORG, OWNER, World


def refusal(caller: Caller, **query: Any) -> tuple[int, str]:
    return refused(caller.request("POST", "/apikey", query=query))


@pytest.mark.parametrize("mode", ["read", "upload", "write", "all"])
def test_a_key_is_made_as_the_founding_document_says(world: World, mode: str) -> None:
    made = make_of_mode(world.owner, mode)
    inner = made["apikey"]
    assert (inner["mode"], inner["user_id"], inner["name"]) == (mode, OWNER, f"Apikey {inner['id']}")
    assert (made["key"], made["key_hash"], made["is_hashed_key"]) == (inner["key"], None, False)
    assert made["global_permissions"] == (["org.create"] if mode == "all" else [])
    assert accepted(world.calling_with(inner["key"]).get("/organization", orgId=ORG))["id"] == ORG


def test_an_empty_body_does_not_hide_the_query_and_a_body_does_as_well(world: World) -> None:
    query = {"org_id": ORG, "mode": "read"}
    assert accepted(world.owner.request("POST", "/apikey", query=query, body={}))["apikey"]["mode"] == "read"
    assert accepted(world.modern.post("/apikey", **query, name="ci"))["apikey"]["name"] == "ci"


def test_a_key_of_a_mode_reaches_apps_that_come_later(world: World) -> None:
    caller = world.calling_with(make_of_mode(world.owner, "write")["key"])
    world.add_app("com.later.app")
    accepted(caller.post("/channel", app_id="com.later.app", channel="beta", public=True))
    accepted(caller.delete("/channel", app_id="com.later.app", channel="beta"))


def test_what_is_missing_or_wrong_is_named_in_the_order_of_the_contract(world: World) -> None:
    assert refusal(world.owner, org_id="nope") == (400, "mode_is_required")
    assert refusal(world.owner, org_id="nope", mode="admin") == (400, "invalid_mode")
    assert refusal(world.owner, mode="read") == (400, "org_id_is_required")
    assert refusal(world.owner, mode="read", org_id="nope", app_id="nope") == (404, "org_not_found")
    assert refusal(world.owner, mode="read", org_id=ORG, app_id="nope", expires_at="x") == (404, "app_not_found")
    assert refusal(world.owner, mode="read", org_id=ORG, expires_at="x") == (400, "invalid_expiration_date")
    for wrong in ({"org_id": 5}, {"name": 5}, {"limited_to_apps": "x"}, {"limited_to_orgs": [5]}, {"app_id": 5}):
        answer = world.owner.post("/apikey", **{"mode": "read", "org_id": ORG, **wrong})
        assert refused(answer) == (400, "invalid_body")


def test_a_key_that_manages_nothing_is_refused_before_its_input_is_looked_at(world: World) -> None:
    answer = world.caller_of_mode("write").request("POST", "/apikey", query={"mode": "nonsense"})
    assert refused(answer) == (401, "cannot_create_apikey")
    assert answer.json()["supabaseError"] is None


def test_an_organization_that_the_caller_does_not_manage_is_not_found(world: World) -> None:
    other = world.add_org("Other")
    for caller in (world.owner, make_owner(world).calls):
        assert refusal(caller, org_id=other, mode="read") == (404, "org_not_found")


def test_who_only_manages_keys_makes_none_that_write(world: World) -> None:
    manager = world.caller_with_roles(Binding.on_org("apikey_manager", ORG))
    for mode, code in (("write", "forbidden_binding"), ("all", "forbidden_binding")):
        assert refusal(manager, org_id=ORG, mode=mode) == (403, code)
    for mode in ("read", "upload"):
        assert make_of_mode(manager, mode)["mode"] == mode


def test_mode_all_gives_no_more_than_its_maker_has(world: World) -> None:
    admin = world.caller_with_roles(Binding.on_org("org_admin", ORG))
    made = make_of_mode(admin, "all")
    assert made["global_permissions"] == []
    bound = next(row for row in world.rows(role_bindings) if row["principal_id"] == made["rbac_id"])
    assert (bound["role_name"], bound["granted_by"]) == ("org_admin", OWNER)


def test_a_person_passes_on_the_right_to_create_organizations(world: World) -> None:
    assert make_of_mode(make_owner(world).calls, "all")["global_permissions"] == ["org.create"]


@pytest.mark.parametrize("names", ["uuid", "text"])
def test_a_key_can_be_limited_to_apps(world: World, names: str) -> None:
    world.add_app("com.other.app")
    limits = {"app_id": world.app()["id"]} if names == "uuid" else {"limited_to_apps": [APP]}
    made = accepted(world.owner.post("/apikey", org_id=ORG, mode="all", **limits))
    assert (made["limited_to_apps"], made["limited_to_orgs"]) == ([APP], [ORG])
    assert made["global_permissions"] == []
    caller = world.calling_with(made["key"])
    assert [app["app_id"] for app in accepted(caller.get("/app"))] == [APP]


def test_a_key_can_cover_more_organizations(world: World) -> None:
    other, foreign = world.add_org("Other"), world.add_org("Foreign")
    owner = make_owner(world)
    caller = world.caller_with_roles(*(Binding.on_org("org_super_admin", one) for one in (ORG, other)))
    made = accepted(caller.post("/apikey", org_id=ORG, mode="read", limited_to_orgs=[other, ORG]))
    assert set(made["limited_to_orgs"]) == {ORG, other}
    answer = owner.calls.post("/apikey", org_id=ORG, mode="read", limited_to_orgs=[foreign])
    assert refused(answer) == (404, "org_not_found")


def test_an_app_of_another_organization_is_not_found(world: World) -> None:
    world.add_app("com.foreign.app", world.add_org("Foreign"))
    foreign = world.app("com.foreign.app")
    for wrong in ({"app_id": foreign["id"]}, {"limited_to_apps": [APP, "com.foreign.app"]}):
        answer = world.owner.post("/apikey", org_id=ORG, mode="read", **wrong)
        assert refused(answer) == (404, "app_not_found")


def test_the_organization_decides_about_expiry(world: World) -> None:
    world.alter(orgs, {"require_apikey_expiration": True, "max_apikey_expiration_days": 10})
    owner = make_owner(world).calls
    assert refusal(owner, org_id=ORG, mode="read") == (400, "expiration_required")
    too_far = (datetime.now(UTC) + timedelta(days=11)).isoformat()
    assert refusal(owner, org_id=ORG, mode="read", expires_at=too_far) == (400, "expiration_exceeds_max")
    fine = (datetime.now(UTC) + timedelta(days=9)).isoformat()
    made = make_of_mode(owner, "read", expires_at=fine)
    assert datetime.fromisoformat(made["expires_at"]) == datetime.fromisoformat(fine)


def test_where_plain_keys_are_refused_a_new_key_is_a_hashed_one(world: World) -> None:
    owner = make_owner(world).calls
    world.alter(orgs, {"enforce_hashed_api_keys": True})
    made = make_of_mode(owner, "read")
    assert made["is_hashed_key"]
    assert len(made["key_hash"]) == 64
    assert accepted(world.calling_with(made["key"]).get("/organization", orgId=ORG))["id"] == ORG


def test_an_operator_may_keep_keys_from_making_keys(world: World) -> None:
    plane = build_plane(world.registry, world.telemetry, world.clock, key_rules=KeyRules(keys_create_keys=False))
    caller = Caller(plane, world.runner, world.owner.headers)
    assert refusal(caller, org_id=ORG, mode="read") == (400, "cannot_create_apikey")
