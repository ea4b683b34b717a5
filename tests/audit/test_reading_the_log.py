"""GET /organization/audit (contract: public 11)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from capstan.access.principal import Binding
from capstan.db.tables import apikeys, audit_logs, orgs
from tests.members.people import add_person
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import APP, ORG, OWNER, OWNER_EMAIL, SYSTEM, World


def read(caller: Caller, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = accepted(caller.get("/organization/audit", orgId=ORG, **query))
    return answer


def add_entries(world: World, count: int) -> None:
    """Changes of the organization, `record_id` 1 to `count` from oldest to newest, in pairs of one moment."""
    rows = [
        {
            "created_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number // 2),
            "table_name": "orgs",
            "record_id": str(number),
            "operation": "UPDATE",
            "org_id": ORG,
            "actor_type": "system",
        }
        for number in range(1, count + 1)
    ]
    with world.registry.write(SYSTEM) as session:
        session.run(audit_logs.delete())
        session.run(audit_logs.insert(), rows)


def test_a_change_is_shown_with_the_key_that_made_it_and_its_owner(world: World) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    page = read(world.owner, tableName="channels")
    assert (page["total"], page["page"], page["limit"]) == (1, 0, 50)
    (entry,) = page["data"]
    assert entry.keys() == {
        "id", "created_at", "table_name", "record_id", "operation", "user_id", "org_id", "old_record", "new_record",
        "changed_fields", "actor_type", "actor_user_id", "actor_user_email", "actor_apikey_id", "actor_apikey_name",
    }  # fmt: skip
    (key,) = world.rows(apikeys)
    assert (entry["actor_type"], entry["actor_apikey_id"], entry["actor_apikey_name"]) == (
        "apikey", key["id"], key["name"],
    )  # fmt: skip
    assert (entry["user_id"], entry["actor_user_id"], entry["actor_user_email"]) == (OWNER, OWNER, OWNER_EMAIL)
    assert (entry["operation"], entry["old_record"], entry["new_record"]["name"]) == ("INSERT", None, "beta")
    assert entry["changed_fields"] is None
    assert datetime.fromisoformat(entry["created_at"]).tzinfo is not None


def test_a_person_is_named_and_the_server_is_not(world: World) -> None:
    ann = add_person(world, "ann@example.com", Binding.on_org("org_admin", ORG))
    accepted(ann.calls.post("/app", app_id="com.new.app", name="New", owner_org=ORG))
    newest, oldest = read(ann.calls, tableName="apps")["data"]
    assert (newest["actor_type"], newest["actor_user_email"], newest["actor_apikey_id"]) == (
        "user", "ann@example.com", None,
    )  # fmt: skip
    assert (oldest["actor_type"], oldest["actor_user_id"], oldest["user_id"]) == ("system", None, None)


def test_entries_come_newest_first_in_pages(world: World) -> None:
    add_entries(world, 130)
    ids = [[entry["record_id"] for entry in read(world.owner, page=page)["data"]] for page in range(4)]
    assert [int(record_id) for page in ids for record_id in page] == list(range(130, 0, -1))
    assert [len(page) for page in ids] == [50, 50, 30, 0]
    assert read(world.owner, page=3)["total"] == 130
    capped = read(world.owner, limit=1000)
    assert (len(capped["data"]), capped["limit"]) == (100, 100)
    answer = world.owner.request("GET", "/organization/audit", body={"orgId": ORG, "page": "1", "limit": "2"})
    assert [entry["record_id"] for entry in accepted(answer)["data"]] == ["128", "127"]


def test_filters_narrow_and_unknown_values_match_nothing(world: World) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    accepted(world.owner.delete("/channel", app_id=APP, channel="beta"))
    assert read(world.owner, tableName="channels")["total"] == 2
    assert read(world.owner, tableName="channels", operation="DELETE")["total"] == 1
    for unknown in ({"tableName": "apikeys"}, {"operation": "delete"}, {"tableName": "' or 1=1 --"}):
        assert read(world.owner, **unknown)["data"] == []


@pytest.mark.parametrize(
    "query", [{"page": "-1"}, {"page": "x"}, {"limit": "0"}, {"limit": "1.5"}, {"page": "9" * 30}, {"limit": ""}]
)
@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_what_is_no_page_is_refused(world: World, query: dict[str, str]) -> None:
    assert refused(world.owner.get("/organization/audit", orgId=ORG, **query)) == (400, "invalid_body")
    assert refused(world.owner.get("/organization/audit")) == (400, "invalid_body")


def test_only_administrators_read_it(world: World) -> None:
    read(world.caller_with_roles(Binding.on_org("org_admin", ORG)))
    callers = [world.caller_of_mode("write"), world.caller_with_roles(Binding.on_org("org_member", ORG))]
    for caller in callers:
        assert refused(caller.get("/organization/audit", orgId=ORG)) == (400, "invalid_org_id")
    for org_id in (world.add_org("Foreign"), "11111111-2222-4333-8444-555555555555", "nope"):
        answer = world.owner.get("/organization/audit", orgId=org_id)
        assert refused(answer) == (400, "invalid_org_id")
        assert answer.json()["moreInfo"] == {"org_id": org_id}


def test_a_key_that_never_expires_is_refused_where_expiry_is_demanded(world: World) -> None:
    world.alter(orgs, {"require_apikey_expiration": True})
    assert refused(world.owner.get("/organization/audit", orgId=ORG)) == (401, "org_requires_expiring_key")


def test_without_credentials_the_caller_is_told_so(world: World) -> None:
    answer = world.owner.with_headers({}).get("/organization/audit", orgId=ORG)
    assert refused(answer) == (401, "no_jwt_apikey_or_subkey")
