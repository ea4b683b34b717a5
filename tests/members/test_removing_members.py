"""DELETE /organization/members (contract: public 10.3, CD-5, CD-19)."""

from __future__ import annotations

from capstan.access.principal import Binding
from capstan.db.tables import apikeys, org_users, role_bindings
from tests.members.people import Person, add_person, give, make_owner
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import ORG, OWNER_EMAIL, World

UNKNOWN = "11111111-2222-4333-8444-555555555555"


def remove(caller: Caller, person: Person | str, org_id: str = ORG) -> object:
    return accepted(caller.delete("/organization/members", orgId=org_id, email=_email(person)))


def refusal(caller: Caller, person: Person | str, org_id: str = ORG) -> tuple[int, str]:
    return refused(caller.delete("/organization/members", orgId=org_id, email=_email(person)))


def _email(person: Person | str) -> str:
    return person if isinstance(person, str) else person.email


def member(world: World, name: str, role: str = "org_member") -> Person:
    return add_person(world, f"{name}@example.com", Binding.on_org(role, ORG))


def test_a_removal_is_acknowledged_in_both_dialects(world: World) -> None:
    assert remove(world.owner, member(world, "ann")) == {"status": "OK"}
    assert remove(world.modern, member(world, "bob")) == {"status": "ok"}
    answer = world.owner.request(
        "DELETE", "/organization/members", body={"orgId": ORG, "email": member(world, "cid").email.upper()}
    )
    assert accepted(answer) == {"status": "OK"}


def test_everything_that_a_person_and_the_persons_keys_hold_there_goes(world: World) -> None:
    other = world.add_org("Other")
    ann = member(world, "ann", "org_admin")
    give(world, ann.user_id, world.on_app("app_admin"), Binding.on_org("org_member", other))
    body = {"name": "x", "bindings": [{"role_name": "org_admin", "scope_type": "org", "org_id": ORG}]}
    key = accepted(ann.calls.request("POST", "/apikey", body=body))
    remove(world.owner, ann)
    held = [row for row in world.rows(role_bindings) if row["principal_id"] in (ann.user_id, key["rbac_id"])]
    assert [row["org_id"] for row in held] == [other]
    assert [row["org_id"] for row in world.rows(org_users)] == [other]
    assert accepted(world.calling_with(key["key"]).get("/organization")) == []
    assert key["id"] in [row["id"] for row in world.rows(apikeys)]


def test_a_removal_is_in_the_audit_log(world: World) -> None:
    ann = member(world, "ann")
    remove(world.owner, ann)
    (entry,) = world.audit_of("org_users")
    assert (entry["operation"], entry["actor_type"]) == ("DELETE", "apikey")
    assert (entry["old_record"]["user_id"], entry["new_record"]) == (ann.user_id, None)


def test_an_invitation_can_be_taken_back(world: World) -> None:
    ann = add_person(world, "ann@example.com")
    accepted(world.owner.post("/organization/members", orgId=ORG, email=ann.email, invite_type="read"))
    remove(world.owner, ann)
    assert world.rows(org_users) == []
    assert ann.user_id not in [row["principal_id"] for row in world.rows(role_bindings)]


def test_refusals_come_in_the_order_of_the_contract(world: World) -> None:
    make_owner(world)
    reader, admin = world.caller_of_mode("write"), world.caller_with_roles(Binding.on_org("org_admin", ORG))
    stranger = add_person(world, "stranger@example.com")
    for email in ("nobody@example.com", OWNER_EMAIL):
        assert refusal(reader, email) == (400, "cannot_access_organization")
        assert refusal(stranger.calls, email) == (400, "cannot_access_organization")
    for org_id in (world.add_org("Foreign"), UNKNOWN, "nope"):
        assert refusal(world.owner, OWNER_EMAIL, org_id) == (400, "cannot_access_organization")
        assert refusal(stranger.calls, stranger, org_id) == (400, "cannot_access_organization")
    answer = world.owner.delete("/organization/members", orgId=ORG, email="nobody@x.y")
    assert refused(answer) == (404, "user_not_found")
    assert answer.json()["status"] == "KO"
    assert refusal(world.owner, stranger) == (404, "organization_member_not_found")
    assert refusal(admin, OWNER_EMAIL) == (403, "cannot_delete_higher_priority_role")
    assert refusal(world.owner, OWNER_EMAIL) == (400, "CANNOT_REMOVE_LAST_SUPER_ADMIN")
    assert refused(world.owner.delete("/organization/members")) == (400, "invalid_json_parse_body")
    assert refused(world.owner.delete("/organization/members", orgId=ORG)) == (400, "invalid_body")
    assert refusal(world.owner, "nobody") == (400, "invalid_body")


def test_a_person_may_always_leave_but_not_as_the_last_super_administrator(world: World) -> None:
    owner, ann = make_owner(world), member(world, "ann")
    assert remove(ann.calls, ann.email.upper()) == {"status": "ok"}
    assert refusal(owner.calls, owner) == (400, "CANNOT_REMOVE_LAST_SUPER_ADMIN")
    bob = member(world, "bob", "org_super_admin")
    remove(owner.calls, owner)
    assert refusal(bob.calls, bob) == (400, "CANNOT_REMOVE_LAST_SUPER_ADMIN")


def test_who_is_only_invited_is_no_super_administrator_yet(world: World) -> None:
    owner, ann = make_owner(world), add_person(world, "ann@example.com")
    accepted(owner.calls.post("/organization/members", orgId=ORG, email=ann.email, invite_type="super_admin"))
    assert refusal(owner.calls, owner) == (400, "CANNOT_REMOVE_LAST_SUPER_ADMIN")


def test_a_member_removes_nobody_else(world: World) -> None:
    ann, bob = member(world, "ann"), member(world, "bob")
    assert refusal(ann.calls, bob) == (400, "cannot_access_organization")
