"""GET /organization/members (contract: public 10.1, CD-16)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from capstan.access.principal import Binding, KeyMode
from capstan.db.tables import apikeys, orgs, users
from tests.members.people import add_person, give, make_owner
from tests.public_api.plane import accepted, refused
from tests.public_api.world import ORG, OWNER, OWNER_EMAIL, World

UNKNOWN = "11111111-2222-4333-8444-555555555555"


def test_the_older_shape_speaks_of_rights(world: World) -> None:
    make_owner(world)
    (member,) = accepted(world.owner.get("/organization/members", orgId=ORG))
    assert member == {
        "uid": OWNER,
        "email": OWNER_EMAIL,
        "image_url": "",
        "role": "super_admin",
        "is_tmp": False,
        "rbac_role_name": "org_super_admin",
        "legacy_role": "super_admin",
    }


def test_the_newer_shape_speaks_of_roles(world: World) -> None:
    make_owner(world)
    world.alter(users, {"image_url": "https://images.example/1.png"})
    (member,) = accepted(world.modern.get("/organization/members", orgId=ORG))
    assert (member["role"], member["image_url"]) == ("org_super_admin", "https://images.example/1.png")


@pytest.mark.parametrize(
    ("app_role", "right"), [("app_admin", "write"), ("app_developer", "write"), ("app_uploader", "upload")]
)
def test_a_member_has_the_right_of_the_best_role_on_apps(world: World, app_role: str, right: str) -> None:
    ann = add_person(world, "ann@example.com", Binding.on_org("org_member", ORG))
    world.add_app("com.second.app")
    give(world, ann.user_id, world.on_app("app_reader"), world.on_app(app_role, "com.second.app"))
    (member,) = accepted(world.owner.get("/organization/members", orgId=ORG))
    assert (member["role"], member["rbac_role_name"]) == (right, "org_member")


def test_people_come_once_each_in_the_order_in_which_they_came(world: World) -> None:
    make_owner(world)
    people = [add_person(world, f"{name}@example.com", Binding.on_org("org_member", ORG)) for name in ("zoe", "ann")]
    add_person(world, "elsewhere@example.com", Binding.on_org("org_member", world.add_org("Other")))
    accepted(world.owner.post("/organization/members", orgId=ORG, email="elsewhere@example.com", invite_type="write"))
    listed = accepted(world.owner.get("/organization/members", orgId=ORG))
    assert [member["uid"] for member in listed[:3]] == [OWNER, *(person.user_id for person in people)]
    assert [member["is_tmp"] for member in listed] == [False, False, False, True]
    assert listed[3]["role"] == "invite_write"


def test_the_organization_must_be_named(world: World) -> None:
    assert refused(world.owner.get("/organization/members")) == (400, "invalid_body")
    assert refused(world.owner.request("GET", "/organization/members", body={"orgId": None})) == (400, "invalid_body")


@pytest.mark.parametrize("mode", ["read", "upload", "write", "all"])
def test_a_key_of_any_mode_reads_the_members(world: World, mode: KeyMode) -> None:
    assert accepted(world.caller_of_mode(mode).get("/organization/members", orgId=ORG)) == []


def test_an_unknown_organization_is_like_one_out_of_reach(world: World) -> None:
    reader = world.caller_with_roles(Binding.on_org("apikey_org_reader", ORG))
    assert refused(reader.get("/organization/members", orgId=ORG)) == (400, "cannot_access_organization")
    for org_id in (world.add_org("Foreign"), UNKNOWN, "nope"):
        answer = world.owner.get("/organization/members", orgId=org_id)
        assert refused(answer) == (400, "cannot_access_organization")
        assert answer.json()["moreInfo"] == {"orgId": org_id}


def test_a_key_that_never_expires_is_refused_where_expiry_is_demanded(world: World) -> None:
    world.alter(orgs, {"require_apikey_expiration": True})
    assert refused(world.owner.get("/organization/members", orgId=ORG)) == (401, "org_requires_expiring_key")
    world.alter(apikeys, {"expires_at": datetime.now(UTC) + timedelta(days=1)})
    assert accepted(world.owner.get("/organization/members", orgId=ORG)) == []
