"""POST /organization/members (contract: public 10.2, CD-17, CD-18)."""

from __future__ import annotations

from typing import Any

import pytest

from capstan.access.principal import Binding
from capstan.db.tables import org_users, role_bindings
from tests.members.people import add_person
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import ORG, OWNER, World


def invite(caller: Caller, email: str = "ann@example.com", **members: Any) -> Any:
    body = {"orgId": ORG, "email": email, "invite_type": "org_member", **members}
    return accepted(caller.request("POST", "/organization/members", body=body))


def refusal(caller: Caller, **members: Any) -> tuple[int, str, Any]:
    body = {"orgId": ORG, "email": "ann@example.com", "invite_type": "org_member", **members}
    answer = caller.request("POST", "/organization/members", body=body)
    return (*refused(answer), answer.json()["moreInfo"].get("data"))


def not_invited(reason: str) -> tuple[int, str, str]:
    return 400, "error_inviting_user_to_organization", reason


def test_an_invitation_is_acknowledged_in_both_dialects(world: World) -> None:
    ann, bob = add_person(world, "ann@example.com"), add_person(world, "bob@example.com")
    assert invite(world.owner) == {
        "status": "OK",
        "data": {"uid": ann.user_id, "email": "ann@example.com", "role": "invite_read", "image_url": ""},
    }
    modern = invite(world.modern, "BOB@example.com")
    assert (modern["status"], modern["data"]["uid"], modern["data"]["role"]) == ("ok", bob.user_id, "org_member")


@pytest.mark.parametrize(
    ("word", "role", "right"),
    [
        ("org_member", "org_member", "invite_read"),
        ("org_billing_admin", "org_billing_admin", "invite_read"),
        ("org_admin", "org_admin", "invite_admin"),
        ("org_super_admin", "org_super_admin", "invite_super_admin"),
        ("read", "org_member", "invite_read"),
        ("upload", "org_member", "invite_upload"),
        ("invite_write", "org_member", "invite_write"),
        ("admin", "org_admin", "invite_admin"),
        ("invite_super_admin", "org_super_admin", "invite_super_admin"),
    ],
)
@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_roles_have_several_names(world: World, word: str, role: str, right: str) -> None:
    add_person(world, "ann@example.com")
    for member in ("invite_type", "role"):
        wish: dict[str, Any] = {"invite_type": None, member: word}
        invite(world.owner, **wish)
        (row,) = accepted(world.owner.get("/organization/members", orgId=ORG))
        assert (row["rbac_role_name"], row["legacy_role"], row["is_tmp"]) == (role, right, True)
        accepted(world.owner.delete("/organization/members", orgId=ORG, email="ann@example.com"))


def test_an_invitation_gives_nothing_yet(world: World) -> None:
    ann = add_person(world, "ann@example.com")
    invite(world.owner, invite_type="org_super_admin")
    assert accepted(ann.calls.get("/organization")) == []
    (row,) = world.rows(org_users)
    assert (row["is_invite"], row["rbac_role_name"]) == (True, "org_super_admin")
    (placeholder,) = (row for row in world.rows(role_bindings) if row["principal_id"] == ann.user_id)
    assert placeholder["reason"] == "Pending invitation"
    assert placeholder["expires_at"] <= placeholder["granted_at"]


def test_an_invitation_is_in_the_audit_log(world: World) -> None:
    ann = add_person(world, "ann@example.com")
    invite(world.owner)
    (entry,) = world.audit_of("org_users")
    assert (entry["operation"], entry["actor_type"], entry["user_id"]) == ("INSERT", "apikey", OWNER)
    assert (entry["new_record"]["user_id"], entry["new_record"]["is_invite"]) == (ann.user_id, True)


def test_nobody_is_invited_twice_and_no_stranger_at_all(world: World) -> None:
    add_person(world, "ann@example.com")
    add_person(world, "member@example.com", Binding.on_org("org_member", ORG))
    invite(world.owner)
    assert refusal(world.owner) == not_invited("ALREADY_INVITED")
    assert refusal(world.owner, email="member@example.com") == not_invited("ALREADY_INVITED")
    assert refusal(world.owner, email="nobody@example.com") == not_invited("NO_EMAIL")


def test_nobody_invites_above_the_own_rank(world: World) -> None:
    add_person(world, "ann@example.com")
    admin = world.caller_with_roles(Binding.on_org("org_admin", ORG))
    assert refusal(admin, invite_type="org_super_admin", email="nobody@example.com") == not_invited("NO_RIGHTS")
    invite(admin, invite_type="org_admin")


@pytest.mark.parametrize(
    "members",
    [{"invite_type": None}, {"invite_type": "app_admin"}, {"invite_type": "key_mode_read"}, {"invite_type": 5},
     {"email": "ann"}, {"email": None}, {"email": "ann@example.com\n"}, {"orgId": 5}],
)  # fmt: skip
@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_what_does_not_fit_is_refused(world: World, members: dict[str, Any]) -> None:
    assert refusal(world.owner, **members)[:2] == (400, "invalid_body")


def test_only_administrators_invite(world: World) -> None:
    callers = [world.caller_of_mode("write"), world.caller_with_roles(Binding.on_org("org_member", ORG))]
    for caller in callers:
        assert refusal(caller)[:2] == (400, "cannot_access_organization")
    for org_id in (world.add_org("Foreign"), "nope"):
        assert refusal(world.owner, orgId=org_id)[:2] == (400, "cannot_access_organization")
