"""GET /organization (contract: public 9.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from capstan.access.principal import Binding, KeyMode
from capstan.db.tables import apikeys, orgs
from tests.public_api.plane import accepted, refused
from tests.public_api.world import ORG, OWNER, World


def test_one_organization_has_exactly_nine_members(world: World) -> None:
    organization = accepted(world.owner.get("/organization", orgId=ORG))
    assert organization.keys() == {
        "id", "created_by", "created_at", "updated_at", "logo", "name", "management_email", "customer_id", "website",
    }  # fmt: skip
    assert organization["id"] == ORG
    assert organization["created_by"] == OWNER
    assert organization["customer_id"] is None
    assert datetime.fromisoformat(organization["created_at"]).tzinfo is not None


@pytest.mark.parametrize("mode", ["read", "upload", "write", "all"])
def test_a_key_of_any_mode_reads_its_organization(world: World, mode: KeyMode) -> None:
    assert accepted(world.caller_of_mode(mode).get("/organization", orgId=ORG))["id"] == ORG


def test_the_list_is_a_bare_array_of_what_the_caller_may_read(world: World) -> None:
    world.add_org("Somebody else's")
    assert [organization["id"] for organization in accepted(world.owner.get("/organization"))] == [ORG]


def test_a_key_of_an_app_reads_the_organization_only_with_a_role_there(world: World) -> None:
    assert accepted(world.caller_with_roles(world.on_app("app_admin")).get("/organization")) == []
    reader = world.caller_with_roles(Binding.on_org("apikey_org_reader", ORG), world.on_app("app_admin"))
    assert len(accepted(reader.get("/organization"))) == 1


def test_organizations_come_oldest_first_fifty_a_page(world: World) -> None:
    ids = [world.add_org(f"Org {n}", created_at=datetime(2020, 1, 1, tzinfo=UTC) + timedelta(n)) for n in range(60)]
    caller = world.caller_with_roles(*(Binding.on_org("org_member", org_id) for org_id in ids))
    first, second, third = (accepted(caller.get("/organization", page=page)) for page in (0, "1", 2))
    assert [organization["id"] for organization in first + second] == ids
    assert len(first) == 50
    assert third == []


@pytest.mark.parametrize("page", ["-1", "x", "1.5", "99999999999999999999999"])
def test_a_page_that_is_no_number_is_refused_unless_one_organization_is_asked_for(world: World, page: str) -> None:
    assert refused(world.owner.get("/organization", page=page)) == (400, "invalid_body")
    assert accepted(world.owner.get("/organization", page=page, orgId=ORG))["id"] == ORG


@pytest.mark.parametrize("org_id", ["5f3c0d4e-0000-4000-8000-00000000dead", "not-a-uuid", "%", "x" * 5000])
def test_an_unknown_or_malformed_id_is_refused_like_one_out_of_reach(world: World, org_id: str) -> None:
    answer = world.owner.get("/organization", orgId=org_id)
    assert refused(answer) == (400, "invalid_org_id")
    assert answer.json()["message"] == "You can't access this organization"
    assert answer.json()["moreInfo"] == {"org_id": org_id}
    foreign = world.add_org("Foreign")
    assert refused(world.owner.get("/organization", orgId=foreign)) == (400, "invalid_org_id")


def test_input_comes_from_the_body_too_and_hides_the_query(world: World) -> None:
    answer = world.owner.request("GET", "/organization", query={"orgId": "nope"}, body={"orgId": ORG})
    assert accepted(answer)["id"] == ORG
    assert refused(world.owner.request("GET", "/organization", body={"orgId": 5})) == (400, "invalid_body")
    assert refused(world.owner.request("GET", "/organization", body={})) == (400, "invalid_json_parse_body")


def test_a_key_that_never_expires_is_refused_where_expiry_is_demanded(world: World) -> None:
    world.alter(orgs, {"require_apikey_expiration": True})
    assert refused(world.owner.get("/organization", orgId=ORG)) == (401, "org_requires_expiring_key")
    world.alter(apikeys, {"expires_at": datetime.now(UTC) + timedelta(days=1)})
    assert accepted(world.owner.get("/organization", orgId=ORG))["id"] == ORG


def test_an_expired_key_is_no_key(world: World) -> None:
    world.alter(apikeys, {"expires_at": datetime.now(UTC) - timedelta(seconds=1)})
    assert refused(world.owner.get("/organization", orgId=ORG)) == (401, "invalid_apikey")


def test_only_a_logo_with_an_address_is_shown(world: World) -> None:
    world.alter(orgs, {"logo": "https://logos.example/1.png"})
    assert accepted(world.owner.get("/organization", orgId=ORG))["logo"] == "https://logos.example/1.png"
    world.alter(orgs, {"logo": "logos/1.png"})
    assert accepted(world.owner.get("/organization", orgId=ORG))["logo"] is None


def test_without_credentials_the_caller_is_told_so(world: World) -> None:
    nobody = world.owner.with_headers({})
    assert refused(nobody.get("/organization")) == (401, "no_key_provided")
