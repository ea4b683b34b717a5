"""PUT /apikey and DELETE /apikey/:id (contract: public 12.4, 12.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from capstan.access.principal import Binding
from capstan.db.tables import apikey_global_permissions, apikeys, orgs, role_bindings
from tests.apikeys.requests import ADMIN, MEMBER, make, make_of_mode
from tests.members.people import add_person, make_owner
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import ORG, World


def put(caller: Caller, key_id: object, **body: Any) -> dict[str, Any]:
    key: dict[str, Any] = accepted(caller.request("PUT", f"/apikey/{key_id}", body=body))
    return key


def refusal(caller: Caller, key_id: object, **body: Any) -> tuple[int, str]:
    return refused(caller.request("PUT", f"/apikey/{key_id}", body=body))


def test_a_key_renames_another_and_changes_its_expiry(world: World) -> None:
    made = make_of_mode(world.owner, "read")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    changed = put(world.owner, made["id"], name="ci", expires_at=tomorrow)
    assert (changed["name"], datetime.fromisoformat(changed["expires_at"])) == ("ci", datetime.fromisoformat(tomorrow))
    assert "key" not in changed
    assert changed["mode"] == "read"
    assert put(world.owner, made["id"], expires_at=None)["expires_at"] is None
    assert put(world.owner, made["id"], name="")["name"] == f"Apikey {made['id']}"


def test_the_id_comes_from_the_path_or_else_from_the_body(world: World) -> None:
    first, second = make_of_mode(world.owner, "read"), make_of_mode(world.owner, "read")
    for identifier in (first["id"], str(first["id"]), first["key"]):
        changed = accepted(world.owner.request("PUT", "/apikey", body={"id": identifier, "name": "by body"}))
        assert changed["id"] == first["id"]
    assert put(world.owner, second["id"], id=first["id"], name="by path")["id"] == second["id"]
    answer = world.owner.request("PUT", f"/apikey/{first['id']}", query={"regenerate": "true"})
    assert accepted(answer)["key"] != first["key"]


def test_what_is_missing_or_wrong_is_named_in_the_order_of_the_contract(world: World) -> None:
    made = make_of_mode(world.owner, "read")
    wrong = {"expires_at": "x", "name": 5, "regenerate": "yes"}
    without_id = world.owner.request("PUT", "/apikey", body=wrong)
    assert refused(without_id) == (400, "api_key_id_required")
    assert refused(world.owner.request("PUT", "/apikey", body={})) == (400, "api_key_id_required")
    assert refusal(world.owner, "x", bindings="x", **wrong) == (400, "invalid_bindings")
    assert refusal(world.owner, "x", bindings=[], **wrong) == (400, "bindings_required")
    assert refusal(world.owner, "x", global_permissions=[5], **wrong) == (400, "invalid_global_permissions")
    assert refusal(world.owner, "x", **wrong) == (400, "invalid_id_format")
    assert refused(world.owner.request("PUT", "/apikey", body={"id": True})) == (400, "invalid_id_format")
    assert refusal(world.owner, made["id"], **wrong) == (400, "invalid_expiration_date")
    assert refusal(world.owner, made["id"], name=5, regenerate="yes") == (400, "name_must_be_a_string")
    assert refusal(world.owner, made["id"], regenerate=1) == (400, "regenerate_must_be_boolean")
    empty: list[dict[str, Any]] = [{}, {"mode": "all"}, {"limited_to_apps": []}, {"regenerate": False}]
    for nothing in empty:
        assert refusal(world.owner, 424242, **nothing) == (400, "no_valid_fields_provided_for_update")
    assert refusal(world.owner, 424242, name="x") == (404, "api_key_not_found_or_access_denied")


def test_a_new_secret_ends_the_old_one_at_once(world: World) -> None:
    made = make_of_mode(world.owner, "read")
    changed = put(world.owner, made["id"], regenerate=True, name="renewed")
    assert (changed["name"], changed["key_hash"], changed["is_hashed_key"]) == ("renewed", None, False)
    assert refused(world.calling_with(made["key"]).get("/organization")) == (401, "invalid_apikey")
    assert len(accepted(world.calling_with(changed["key"]).get("/organization"))) == 1
    assert accepted(world.owner.get(f"/apikey/{made['id']}"))["key"] == changed["key"]


def test_a_hashed_key_stays_hashed(world: World) -> None:
    made = make_of_mode(world.owner, "read", hashed="true")
    changed = put(world.owner, made["id"], regenerate=True)
    assert (changed["is_hashed_key"], len(changed["key_hash"])) == (True, 64)
    assert accepted(world.owner.get(f"/apikey/{made['id']}"))["key"] == "********"


def test_a_key_changes_neither_itself_nor_what_others_may_do(world: World) -> None:
    own = next(row["id"] for row in world.rows(apikeys))
    made = make_of_mode(world.owner, "read")
    assert refusal(world.owner, own, name="me") == (401, "cannot_update_apikey")
    assert refusal(world.owner, made["id"], bindings=[ADMIN]) == (401, "cannot_update_apikey")
    assert refusal(world.owner, made["id"], global_permissions=[]) == (401, "cannot_update_apikey")
    reader = world.calling_with(made["key"])
    assert refusal(reader, "malformed!", name="x") == (401, "cannot_update_apikey")


def test_a_key_changes_only_keys_within_its_reach(world: World) -> None:
    world.caller_of_mode("read", world.add_org("Other"))
    elsewhere = max(row["id"] for row in world.rows(apikeys))
    assert refusal(world.owner, elsewhere, name="x") == (401, "cannot_update_apikey")
    assert refused(world.owner.delete(f"/apikey/{elsewhere}")) == (401, "cannot_delete_apikey")


def test_a_key_gets_no_secret_of_a_key_that_stands_above_it(world: World) -> None:
    manager = world.caller_with_roles(Binding.on_org("apikey_manager", ORG))
    above = make_of_mode(world.owner, "all")
    assert refusal(manager, above["id"], regenerate=True) == (401, "cannot_update_apikey")
    assert put(manager, above["id"], name="renamed")["name"] == "renamed"
    assert put(manager, make_of_mode(world.owner, "read")["id"], regenerate=True)["mode"] == "read"


def test_a_person_replaces_what_a_key_may_do(world: World) -> None:
    owner = make_owner(world).calls
    made = make_of_mode(owner, "write")
    changed = put(owner, made["id"], bindings=[ADMIN], global_permissions=["org.create"])
    assert (changed["mode"], changed["global_permissions"]) == ("all", ["org.create"])
    assert put(owner, made["id"], bindings=[MEMBER])["global_permissions"] == []
    assert refusal(owner, made["id"], global_permissions=["org.create"]) == (400, "invalid_global_permissions")
    bound = [row["role_name"] for row in world.rows(role_bindings) if row["principal_id"] == made["rbac_id"]]
    assert bound == ["org_member"]
    assert refusal(owner, made["id"], bindings=[MEMBER, ADMIN]) == (409, "duplicate_binding")
    assert refusal(owner, made["id"], bindings=[{**MEMBER, "role_name": "king"}]) == (404, "binding_failed")


def test_power_is_changed_only_with_the_right_in_old_and_new_organizations(world: World) -> None:
    other = world.add_org("Other")
    ann = add_person(
        world, "ann@example.com", Binding.on_org("org_admin", ORG), Binding.on_org("apikey_manager", other)
    ).calls
    here, there = make(ann), make(ann, {**MEMBER, "org_id": other})
    assert refusal(ann, here["id"], bindings=[{**MEMBER, "org_id": other}]) == (403, "forbidden_binding")
    assert refusal(ann, there["id"], bindings=[MEMBER]) == (403, "forbidden_binding")
    assert put(ann, here["id"], bindings=[ADMIN])["mode"] == "all"


def test_policies_hold_for_changes_of_expiry_and_power(world: World) -> None:
    owner = make_owner(world).calls
    made = make_of_mode(owner, "read")
    world.alter(orgs, {"require_apikey_expiration": True, "max_apikey_expiration_days": 3})
    assert put(owner, made["id"], name="still")["name"] == "still"
    assert refusal(owner, made["id"], expires_at=None) == (400, "expiration_required")
    assert refusal(owner, made["id"], bindings=[MEMBER]) == (400, "expiration_required")
    far = (datetime.now(UTC) + timedelta(days=4)).isoformat()
    assert refusal(owner, made["id"], bindings=[MEMBER], expires_at=far) == (400, "expiration_exceeds_max")


def test_a_deleted_key_is_gone_with_its_power(world: World) -> None:
    made = make_of_mode(world.owner, "all")
    assert accepted(world.owner.delete(f"/apikey/{made['id']}")) == {"success": True}
    assert refused(world.calling_with(made["key"]).get("/organization")) == (401, "invalid_apikey")
    answer = world.owner.delete(f"/apikey/{made['id']}")
    assert refused(answer) == (404, "api_key_not_found")
    assert answer.json()["supabaseError"] is None
    for table, column in ((role_bindings, "principal_id"), (apikey_global_permissions, "apikey_rbac_id")):
        assert made["rbac_id"] not in [row[column] for row in world.rows(table)]


def test_deletion_by_secret_and_the_newer_acknowledgement(world: World) -> None:
    first, second = make_of_mode(world.owner, "read"), make_of_mode(world.owner, "read")
    assert accepted(world.owner.delete(f"/apikey/{first['key']}")) == {"success": True}
    owner = make_owner(world).calls
    assert accepted(owner.delete(f"/apikey/{second['id']}")) == {"status": "ok", "success": True}


def test_a_key_does_not_delete_itself(world: World) -> None:
    own = next(row["id"] for row in world.rows(apikeys))
    for caller in (world.owner, world.modern):
        assert refused(caller.delete(f"/apikey/{own}")) == (401, "cannot_delete_apikey")
