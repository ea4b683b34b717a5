"""DELETE /organization (contract: public 9.5)."""

from __future__ import annotations

from capstan.access.principal import Binding
from capstan.db.tables import (
    apikeys,
    app_versions,
    apps,
    audit_logs,
    channel_devices,
    channels,
    deleted_orgs,
    org_users,
    orgs,
    role_bindings,
)
from tests.members.people import make_owner
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, World

DEVICE = "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10"


def test_everything_goes_with_the_organization_and_its_id_stays_taken(world: World) -> None:
    make_owner(world)
    world.add_bundle("1.0.0")
    accepted(world.owner.post("/channel", app_id=APP, channel="beta", version="1.0.0"))
    accepted(world.owner.post("/device", app_id=APP, device_id=DEVICE, channel="beta"))
    assert accepted(world.owner.delete("/organization", orgId=ORG)) == {"status": "ok"}
    tables = (orgs, apps, app_versions, channels, channel_devices, org_users, role_bindings, audit_logs)
    assert [table.name for table in tables if world.rows(table)] == []
    assert [row["id"] for row in world.rows(deleted_orgs)] == [ORG]


def test_other_organizations_stay_and_keys_only_lose_this_one(world: World) -> None:
    other = world.add_org("Other")
    world.add_app("com.other.app", other)
    both = world.caller_with_roles(Binding.on_org("org_super_admin", ORG), Binding.on_org("org_member", other))
    accepted(both.delete("/organization", orgId=ORG))
    assert [org["id"] for org in accepted(both.get("/organization"))] == [other]
    assert accepted(world.owner.get("/organization")) == []
    assert len(world.rows(apikeys)) == 2
    assert [app["app_id"] for app in world.rows(apps)] == ["com.other.app"]


def test_only_a_super_administrator_deletes(world: World) -> None:
    callers = [world.caller_of_mode("write"), world.caller_with_roles(Binding.on_org("org_admin", ORG))]
    for caller in callers:
        answer = caller.delete("/organization", orgId=ORG)
        assert refused(answer) == (403, "invalid_org_id")
        assert answer.json()["moreInfo"] == {"org_id": ORG}
    for org_id in (world.add_org("Foreign"), "11111111-2222-4333-8444-555555555555", "nope"):
        assert refused(world.owner.delete("/organization", orgId=org_id)) == (403, "invalid_org_id")


def test_what_is_missing_is_named(world: World) -> None:
    assert refused(world.owner.delete("/organization")) == (400, "invalid_json_parse_body")
    assert refused(world.owner.delete("/organization", other="x")) == (400, "missing_org_id")
    assert refused(world.owner.delete("/organization", orgId="")) == (400, "missing_org_id")
    assert refused(world.owner.request("DELETE", "/organization", body={"orgId": 5})) == (400, "invalid_body")
