"""POST /apikey with `bindings` (contract: public 12.3)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capstan.access.principal import Binding
from capstan.db.tables import apikeys, channels, orgs, role_bindings
from tests.apikeys.requests import ADMIN, MEMBER, make
from tests.members.people import add_person, make_owner
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import APP, ORG, World

UNKNOWN = "11111111-2222-4333-8444-555555555555"


def refusal(caller: Caller, **body: Any) -> tuple[int, str]:
    return refused(caller.post("/apikey", **body))


def on_app(role: str, **members: Any) -> dict[str, Any]:
    return {"role_name": role, "scope_type": "app", "org_id": ORG, **members}


def test_a_person_makes_a_key_with_exactly_these_bindings(world: World) -> None:
    owner = make_owner(world).calls
    app_id = world.app()["id"]
    made = make(owner, MEMBER, on_app("app_developer", app_id=app_id, reason="ci", more="dropped"))
    assert (made["mode"], made["limited_to_orgs"], made["limited_to_apps"]) == ("write", [ORG], [APP])
    assert made["apikey"]["key"] == made["key"]
    assert (made["key_hash"], made["global_permissions"]) == (None, [])
    bound = [row for row in world.rows(role_bindings) if row["principal_id"] == made["rbac_id"]]
    assert {(row["role_name"], row["reason"]) for row in bound} == {("org_member", None), ("app_developer", "ci")}
    caller = world.calling_with(made["key"])
    assert accepted(caller.get(f"/app/{APP}"))["app_id"] == APP


def test_keys_do_not_make_keys_with_bindings(world: World) -> None:
    for body in ({}, {"name": "x", "bindings": [MEMBER]}, {"name": "x", "bindings": [MEMBER], "mode": "read"}):
        answer = world.owner.request("POST", "/apikey", body=body)
        assert refused(answer) == (400, "cannot_create_apikey")


def test_what_is_missing_or_wrong_is_named_in_the_order_of_the_contract(world: World) -> None:
    owner = make_owner(world).calls
    bad = {"role_name": "org_member", "scope_type": "bundle", "org_id": ORG}
    assert refused(owner.request("POST", "/apikey", body={})) == (400, "name_is_required")
    assert refused(owner.request("POST", "/apikey")) == (400, "invalid_json_parse_body")
    shapes: list[Any] = ["x", None, {}, [5], [bad], [{**MEMBER, "org_id": None}]]
    for bindings in shapes:
        assert refusal(owner, bindings=bindings) == (400, "invalid_bindings")
    for name in ("", 5, None):
        assert refusal(owner, bindings=[], name=name) == (400, "name_is_required")
    assert refusal(owner, bindings=[], name="x", expires_at="x") == (400, "bindings_required")
    asked = {"name": "x", "bindings": [{**MEMBER, "org_id": UNKNOWN}], "global_permissions": "x"}
    for moment in ("x", 5, "", "2020-01-01", "2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
        assert refusal(owner, **asked, expires_at=moment) == (400, "invalid_expiration_date")
    for permissions in ("x", None, ["org.read"], ["org.create"]):
        answer = refusal(owner, **{**asked, "global_permissions": permissions})
        assert answer == (400, "invalid_global_permissions")
    assert refusal(owner, name="x", bindings=[{**ADMIN, "org_id": UNKNOWN}]) == (403, "forbidden_binding")


def test_only_an_administrators_key_creates_organizations(world: World) -> None:
    owner = make_owner(world).calls
    made = make(owner, ADMIN, global_permissions=["org.create", "org.create"])
    assert made["global_permissions"] == ["org.create"]


def test_an_expiry_without_a_zone_is_utc(world: World) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None)
    made = make(make_owner(world).calls, expires_at=tomorrow.isoformat())
    assert datetime.fromisoformat(made["expires_at"]) == tomorrow.replace(tzinfo=UTC)


def test_a_hashed_key_is_shown_once_and_works(world: World) -> None:
    owner = make_owner(world).calls
    made = make(owner, hashed=True)
    assert (made["is_hashed_key"], len(made["key_hash"])) == (True, 64)
    assert accepted(world.calling_with(made["key"]).get("/organization", orgId=ORG))["id"] == ORG
    assert make(owner, hashed="yes")["is_hashed_key"] is False


def test_policies_of_every_organization_that_is_named_count(world: World) -> None:
    owner = make_owner(world).calls
    world.alter(orgs, {"require_apikey_expiration": True})
    strict = world.add_org("Strict", require_apikey_expiration=True)
    assert refusal(owner, name="x", bindings=[MEMBER]) == (400, "expiration_required")
    world.alter(orgs, {"require_apikey_expiration": False})
    world.alter(orgs, {"max_apikey_expiration_days": 1})
    far = (datetime.now(UTC) + timedelta(days=2)).isoformat()
    assert refusal(owner, name="x", bindings=[MEMBER], expires_at=far) == (400, "expiration_exceeds_max")
    world.alter(orgs, {"require_apikey_expiration": True})
    # What a foreign organization demands is not told.
    assert refusal(owner, name="x", bindings=[{**MEMBER, "org_id": strict}]) == (403, "forbidden_binding")
    assert refusal(owner, name="x", bindings=[{**MEMBER, "org_id": UNKNOWN}]) == (403, "forbidden_binding")


def test_who_only_manages_keys_gives_no_guarded_role(world: World) -> None:
    manager = add_person(world, "ann@example.com", Binding.on_org("apikey_manager", ORG)).calls
    app_id = world.app()["id"]
    for binding in (ADMIN, on_app("app_admin", app_id=app_id), on_app("app_preview", app_id=app_id)):
        assert refusal(manager, name="x", bindings=[binding]) == (403, "forbidden_binding")
    assert make(manager, on_app("app_developer", app_id=app_id))["mode"] == "write"


def test_a_member_makes_no_keys(world: World) -> None:
    member = add_person(world, "ann@example.com", Binding.on_org("org_member", ORG)).calls
    answer = member.post("/apikey", name="x", bindings=[MEMBER])
    assert refused(answer) == (403, "forbidden_binding")
    assert answer.json()["message"] == f"Forbidden - API key management rights required for org {ORG}"


def test_each_binding_is_checked_and_nothing_is_left_of_a_refused_key(world: World) -> None:
    owner = make_owner(world).calls
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    (channel,) = world.rows(channels)
    world.add_app("com.other.app")
    app_id, other_id = world.app()["id"], world.app("com.other.app")["id"]
    on_channel = {"role_name": "channel_reader", "scope_type": "channel", "org_id": ORG}
    cases: list[tuple[dict[str, Any], int, str]] = [
        ({**MEMBER, "role_name": "king"}, 404, "Role not found"),
        ({**MEMBER, "role_name": "key_mode_read"}, 403, "Role is not assignable"),
        (on_app("org_member"), 400, "Role scope_type does not match binding scope"),
        (on_app("app_reader"), 400, "app_id required for app scope"),
        ({**on_channel, "app_id": app_id}, 400, "app_id and channel_id required for channel scope"),
        (on_app("app_reader", app_id=UNKNOWN), 404, "App not found in this org"),
        ({**on_channel, "app_id": app_id, "channel_id": UNKNOWN}, 404, "Channel not found in this app/org"),
        (
            {**on_channel, "app_id": other_id, "channel_id": channel["rbac_id"]},
            404,
            "Channel not found in this app/org",
        ),
    ]
    keys = len(world.rows(apikeys))
    for binding, status, message in cases:
        answer = owner.post("/apikey", name="x", bindings=[MEMBER, binding])
        assert (answer.status_code, answer.json()["error"], answer.json()["message"]) == (
            status, "binding_failed", message,
        )  # fmt: skip
    assert len(world.rows(apikeys)) == keys
    made = make(owner, {**on_channel, "app_id": app_id, "channel_id": channel["rbac_id"]})
    (bound,) = (row for row in world.rows(role_bindings) if row["principal_id"] == made["rbac_id"])
    assert (bound["app_id"], bound["channel_id"]) == (app_id, channel["rbac_id"])


def test_nobody_gives_a_role_above_the_own(world: World) -> None:
    admin = add_person(world, "ann@example.com", Binding.on_org("org_admin", ORG)).calls
    above = {**ADMIN, "role_name": "org_super_admin"}
    answer = admin.post("/apikey", name="x", bindings=[above])
    assert refused(answer) == (403, "binding_failed")
    assert answer.json()["message"] == "Cannot assign a role with higher privileges than your own"
    assert make(admin, ADMIN)["mode"] == "all"


def test_one_object_is_given_one_role(world: World) -> None:
    owner = make_owner(world).calls
    assert refusal(owner, name="x", bindings=[MEMBER, ADMIN]) == (400, "binding_creation_failed")


@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_a_long_list_of_bindings_is_answered(world: World) -> None:
    owner = make_owner(world).calls
    many = [on_app("app_reader", app_id=f"{number}") for number in range(900)]
    assert refusal(owner, name="x", bindings=many) == (404, "binding_failed")
