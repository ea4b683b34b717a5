"""POST and PUT /organization with `orgId` (contract: public 9.2, 9.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capstan.access.principal import Binding
from capstan.db.tables import apikeys, orgs
from tests.members.people import make_owner
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import ORG, World

POLICY = {
    "enabled": True, "min_length": 10, "require_uppercase": True, "require_number": False, "require_special": False,
}  # fmt: skip


def change(caller: Caller, method: str = "PUT", **members: Any) -> dict[str, Any]:
    answer = accepted(caller.request(method, "/organization", body={"orgId": ORG, **members}))
    assert (answer["status"], answer["id"]) == ("Organization updated", ORG)
    data: dict[str, Any] = answer["data"]
    return data


def refusal(caller: Caller, method: str = "PUT", **members: Any) -> tuple[int, str]:
    return refused(caller.request(method, "/organization", body={"orgId": ORG, **members}))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_both_verbs_change_what_is_named(world: World, method: str) -> None:
    for caller in (world.owner, world.modern, make_owner(world).calls):
        world.alter(orgs, {"name": "Demo"})
        assert change(caller, method, name="New")["name"] == "New"


def test_the_whole_organization_is_answered(world: World) -> None:
    assert change(world.owner).keys() == {
        "id", "created_by", "created_at", "updated_at", "logo", "name", "management_email", "customer_id", "website",
        "stats_updated_at", "last_stats_updated_at", "stats_refresh_requested_at", "enforcing_2fa",
        "email_preferences", "password_policy_config", "enforce_hashed_api_keys", "require_apikey_expiration",
        "max_apikey_expiration_days", "enforce_encrypted_bundles", "required_encryption_key", "has_usage_credits",
        "onboarding",
    }  # fmt: skip


def test_every_setting_can_be_changed_and_what_is_left_out_stays(world: World) -> None:
    changed = change(
        world.owner,
        name=" <i>New</i> ",
        logo="https://logos.example/1.png",
        website="new.example",
        management_email="boss@new.example",
        max_apikey_expiration_days=30,
        enforce_encrypted_bundles=True,
        required_encryption_key=f" {'k' * 20} ",
        password_policy_config=POLICY,
    )
    assert (changed["name"], changed["website"]) == ("New", "https://new.example/")
    assert changed["password_policy_config"] == POLICY
    assert (changed["required_encryption_key"], changed["max_apikey_expiration_days"]) == ("k" * 20, 30)
    cleared = change(
        world.owner,
        website=None,
        logo="",
        max_apikey_expiration_days=None,
        required_encryption_key="",
        password_policy_config=None,
    )
    emptied = ("website", "logo", "max_apikey_expiration_days", "required_encryption_key", "password_policy_config")
    assert [cleared[name] for name in emptied] == [None] * 5
    assert (cleared["name"], cleared["management_email"]) == ("New", "boss@new.example")


def test_a_change_is_in_the_audit_log_and_no_change_is_not(world: World) -> None:
    change(world.owner)
    assert world.audit_of("orgs") == []
    change(world.owner, name="New")
    (entry,) = world.audit_of("orgs")
    assert (entry["operation"], entry["changed_fields"]) == ("UPDATE", ["name", "updated_at"])
    assert (entry["old_record"]["name"], entry["new_record"]["name"]) == ("Demo", "New")


def test_values_from_the_query_are_coerced(world: World) -> None:
    query = {"orgId": ORG, "enforce_encrypted_bundles": "true", "max_apikey_expiration_days": "7"}
    changed = accepted(world.owner.request("PUT", "/organization", query=query))["data"]
    assert (changed["enforce_encrypted_bundles"], changed["max_apikey_expiration_days"]) == (True, 7)


@pytest.mark.parametrize("role", ["org_member", "org_billing_admin", "apikey_manager", "apikey_org_reader"])
def test_who_does_not_administer_is_refused_by_verb(world: World, role: str) -> None:
    caller = world.caller_with_roles(Binding.on_org(role, ORG))
    denied = caller.request("POST", "/organization", body={"orgId": ORG, "name": "New"})
    assert refused(denied) == (403, "permission_denied")
    assert denied.json()["message"] == "Permission denied: org.update_settings"
    hidden = caller.request("PUT", "/organization", body={"orgId": ORG, "name": "New"})
    assert refused(hidden) == (400, "cannot_access_organization")
    assert hidden.json()["moreInfo"] == {"orgId": ORG}


def test_an_unknown_organization_is_like_one_out_of_reach(world: World) -> None:
    for org_id in (world.add_org("Foreign"), "11111111-2222-4333-8444-555555555555", "nope"):
        assert refusal(world.owner, orgId=org_id, name="x") == (400, "cannot_access_organization")
        assert refusal(world.owner, "POST", orgId=org_id, name="x") == (403, "permission_denied")


@pytest.mark.parametrize(
    "members",
    [
        {"name": None},
        {"name": "<b></b>"},
        {"management_email": "boss"},
        {"require_apikey_expiration": "yes"},
        {"enforcing_2fa": "true"},
        {"max_apikey_expiration_days": 1.5},
        {"password_policy_config": {**POLICY, "min_length": 5}},
        {"password_policy_config": {**POLICY, "min_length": 73}},
        {"password_policy_config": {"enabled": True}},
        {"website": "javascript:alert(1)"},
        {"orgId": 5},
    ],
)
@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_what_does_not_fit_is_refused(world: World, members: dict[str, Any]) -> None:
    for method in ("POST", "PUT"):
        assert refusal(world.owner, method, **members) == (400, "invalid_body")


def test_checks_come_in_the_order_of_the_contract(world: World) -> None:
    owner = make_owner(world).calls
    members: dict[str, Any] = {"enforcing_2fa": True, "max_apikey_expiration_days": 0, "required_encryption_key": "x"}
    members["name"] = "<b>"
    assert refusal(owner, **members) == (400, "requires_2fa_to_enforce_2fa")
    assert refusal(world.owner, **members) == (400, "invalid_max_expiration_days")
    assert refusal(world.owner, max_apikey_expiration_days=366) == (400, "invalid_max_expiration_days")
    members["max_apikey_expiration_days"] = 365
    assert refusal(world.owner, **members) == (400, "invalid_required_encryption_key")
    members["required_encryption_key"] = "k" * 21
    assert refusal(world.owner, **members) == (400, "invalid_body")
    members["name"] = "New"
    assert refusal(world.owner, **members) == (400, "cannot_update_org")
    assert world.audit_of("orgs") == []


def test_a_second_factor_that_is_demanded_already_is_no_change(world: World) -> None:
    world.alter(orgs, {"enforcing_2fa": True})
    assert change(world.owner, enforcing_2fa=True)["enforcing_2fa"]
    assert change(world.owner, enforcing_2fa=False)["enforcing_2fa"] is False


def test_demanding_expiring_keys_shuts_out_lasting_ones(world: World) -> None:
    change(world.owner, require_apikey_expiration=True)
    assert refusal(world.owner, name="New") == (401, "org_requires_expiring_key")
    world.alter(apikeys, {"expires_at": datetime.now(UTC) + timedelta(days=1)})
    assert change(world.owner, name="New")["name"] == "New"


def test_demanding_hashed_keys_ends_plain_ones_at_once(world: World) -> None:
    change(world.owner, enforce_hashed_api_keys=True)
    assert refused(world.owner.get("/organization")) == (401, "invalid_apikey")


def test_a_name_that_the_creator_uses_already_is_refused(world: World) -> None:
    world.add_org("Other")
    assert refusal(world.owner, name="Other") == (400, "cannot_update_org")
    assert change(world.owner)["name"] == "Demo"
