"""POST and PUT /organization without `orgId` (contract: public 9.2, 9.3, CD-13, CD-14)."""

from __future__ import annotations

from typing import Any

import pytest

from capstan.access.principal import Binding
from capstan.db.tables import org_users, orgs
from tests.members.people import add_person, make_owner
from tests.public_api.plane import accepted, refused
from tests.public_api.world import ORG, OWNER, OWNER_EMAIL, World


def stored(world: World, org_id: str) -> Any:
    (row,) = (row for row in world.rows(orgs) if row["id"] == org_id)
    return row


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_key_of_mode_all_creates_an_organization_and_rules_it(world: World, method: str) -> None:
    answer = accepted(world.owner.request(method, "/organization", body={"name": "Acme"}))
    assert answer.keys() == {"status", "id"}
    assert answer["status"] == "Organization created"
    row = stored(world, answer["id"])
    assert (row["created_by"], row["management_email"], row["customer_id"]) == (OWNER, OWNER_EMAIL, None)
    assert row["onboarding"] == {"intent": "unknown"}
    assert set(row["email_preferences"].values()) == {True}
    assert accepted(world.owner.get("/organization", orgId=answer["id"]))["name"] == "Acme"
    accepted(world.owner.delete("/organization", orgId=answer["id"]))


def test_a_person_creates_an_organization_and_becomes_its_super_administrator(world: World) -> None:
    ann = add_person(world, "ann@example.com")
    created = accepted(ann.calls.post("/organization", name="Ann's", email="mail@ann.example", intent="ota"))
    row = stored(world, created["id"])
    assert (row["management_email"], row["onboarding"]) == ("mail@ann.example", {"intent": "ota"})
    (member,) = (row for row in world.rows(org_users) if row["org_id"] == created["id"])
    assert (member["user_id"], member["rbac_role_name"], member["is_invite"]) == (ann.user_id, "org_super_admin", False)
    assert [org["id"] for org in accepted(ann.calls.get("/organization"))] == [created["id"]]


def test_a_creation_is_in_the_audit_log(world: World) -> None:
    created = accepted(world.owner.post("/organization", name="Acme"))
    for table in ("orgs", "org_users"):
        (entry,) = (row for row in world.audit_of(table) if row["org_id"] == created["id"])
        assert (entry["operation"], entry["actor_type"], entry["actor_user_id"]) == ("INSERT", "apikey", OWNER)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_nothing_is_no_input(world: World, method: str) -> None:
    assert refused(world.owner.request(method, "/organization", body={})) == (400, "invalid_json_parse_body")
    assert refused(world.owner.request(method, "/organization")) == (400, "invalid_json_parse_body")


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "ab"},
        {"name": None},
        {"name": 5},
        {"name": "   "},
        {"name": "<b></b>"},
        {"website": "x.example"},
        {"name": "Acme", "email": "acme"},
        {"name": "Acme", "email": "a@acme.example\n"},
        {"name": "Acme", "estimatedMau": -1},
        {"name": "Acme", "estimatedMau": 1_000_001},
        {"name": "Acme", "estimatedMau": "5"},
        {"name": "Acme", "intent": "fun"},
        {"name": "Acme", "website": "ftp://acme.example"},
        {"name": "Acme", "website": "https://user:pass@acme.example"},
    ],
)
@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_what_does_not_fit_is_refused(world: World, body: dict[str, Any]) -> None:
    for method in ("POST", "PUT"):
        assert refused(world.owner.request(method, "/organization", body=body)) == (400, "invalid_body")


def test_a_website_is_brought_to_one_form(world: World) -> None:
    created = accepted(world.owner.post("/organization", name="Acme", website="HTTPS://capgo.app"))
    assert stored(world, created["id"])["website"] == "https://capgo.app/"
    answer = world.owner.post("/organization", name="Acme 2", website="https://")
    assert answer.json()["moreInfo"] == {"error": "website_must_be_a_valid_url"}


def test_values_from_the_query_are_coerced(world: World) -> None:
    query = {"name": "<b>Acme</b>", "estimatedMau": "5"}
    created = accepted(world.owner.request("POST", "/organization", query=query))
    assert stored(world, created["id"])["name"] == "Acme"


def test_without_an_id_put_creates_in_the_older_shape_only(world: World) -> None:
    assert refused(world.modern.request("PUT", "/organization", body={"name": "Acme"})) == (400, "invalid_body")
    session = make_owner(world).calls
    assert refused(session.request("PUT", "/organization", body={"name": "Acme"})) == (400, "invalid_body")
    older = session.also_sending({"capgo_api": "2025-10-01"})
    accepted(older.request("PUT", "/organization", body={"name": "Acme"}))


def test_a_key_that_may_not_create_is_told_so_by_verb(world: World) -> None:
    for caller in (world.caller_of_mode("write"), world.caller_with_roles(Binding.on_org("org_super_admin", ORG))):
        denied = caller.post("/organization", name="Acme")
        assert refused(denied) == (403, "permission_denied")
        assert denied.json()["message"] == "Permission denied: org.create"
        assert refused(caller.request("PUT", "/organization", body={"name": "Acme"})) == (400, "invalid_body")


def test_nobody_has_two_organizations_of_one_name(world: World) -> None:
    answer = world.owner.post("/organization", name="Demo")
    assert refused(answer) == (400, "cannot_create_org")
    assert answer.json()["moreInfo"]["error"]
    accepted(add_person(world, "ann@example.com").calls.post("/organization", name="Demo"))


def test_who_has_no_address_owns_no_organization(world: World) -> None:
    nobody = add_person(world, "")
    assert refused(nobody.calls.post("/organization", name="Acme")) == (400, "cannot_get_user")
