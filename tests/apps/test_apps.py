"""GET, POST and DELETE /app (contract: public 13)."""

from __future__ import annotations

import pytest

from capstan.access.principal import Binding, KeyMode
from capstan.db.tables import app_versions, channel_devices, channels
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, OWNER, World


def test_an_app_is_created_with_the_defaults_of_the_contract(world: World) -> None:
    app = accepted(world.owner.post("/app", app_id="com.example.new", name="New", owner_org=ORG))
    assert (app["app_id"], app["name"], app["owner_org"], app["user_id"]) == ("com.example.new", "New", ORG, OWNER)
    assert (app["retention"], app["default_upload_channel"]) == (2_592_000, "dev")
    assert app["rollout_paused_version_names"] == []
    assert accepted(world.owner.get("/app/com.example.new")) == app
    assert app in accepted(world.owner.get("/app"))


def test_what_is_missing_is_named_in_the_order_of_the_contract(world: World) -> None:
    assert refused(world.owner.post("/app", name="New")) == (400, "missing_app_id")
    assert refused(world.owner.post("/app", app_id="new")) == (400, "invalid_app_id")
    assert refused(world.owner.post("/app", app_id="com.example.new")) == (400, "missing_name")
    assert refused(world.owner.post("/app", app_id="com.example.new", name="New")) == (400, "missing_owner_org")
    assert refused(world.owner.request("POST", "/app", body=None)) == (400, "invalid_json_parse_body")


@pytest.mark.parametrize("app_id", ["com.example.app\n", "com.example.", ".com.example", "com..example", "com.exämple"])
def test_an_app_id_matches_whole_or_not_at_all(world: World, app_id: str) -> None:
    assert refused(world.owner.post("/app", app_id=app_id, name="New", owner_org=ORG)) == (400, "invalid_app_id")


def test_an_app_id_is_taken_on_the_whole_server(world: World) -> None:
    other = world.add_org("Other")
    stranger = world.caller_with_roles(Binding.on_org("org_super_admin", other))
    answer = stranger.post("/app", app_id=APP, name="Mine", owner_org=other)
    assert refused(answer) == (409, "app_id_already_exists")


@pytest.mark.parametrize(("mode", "may"), [("read", False), ("upload", False), ("write", True), ("all", True)])
def test_keys_of_some_modes_create_apps(world: World, mode: KeyMode, may: bool) -> None:
    answer = world.caller_of_mode(mode).post("/app", app_id="com.example.new", name="New", owner_org=ORG)
    if may:
        accepted(answer)
    else:
        assert refused(answer) == (403, "cannot_access_organization")


def test_apps_of_others_are_as_if_they_were_not_there(world: World) -> None:
    other = world.add_org("Other")
    world.add_app("com.other.app", other)
    assert refused(world.owner.get("/app/com.other.app")) == (401, "cannot_access_app")
    assert refused(world.owner.get("/app/com.nobody.app")) == (401, "cannot_access_app")
    assert [app["app_id"] for app in accepted(world.owner.get("/app"))] == [APP]
    answer = world.owner.get("/app", org_id=other)
    assert refused(answer) == (400, "user_does_not_have_access_to_this_organization")


def test_apps_come_in_pages_oldest_first(world: World) -> None:
    for number in range(55):
        world.add_app(f"com.example.app{number:02}")
    first, second = (accepted(world.owner.get("/app", page=page)) for page in ("0", "1"))
    ids = [app["app_id"] for app in first + second]
    assert (len(first), len(second)) == (50, 6)
    assert ids == [APP, *(f"com.example.app{number:02}" for number in range(55))]
    assert len(accepted(world.owner.get("/app", limit=3, page=1))) == 3
    for wrong in ({"page": "-1"}, {"page": "x"}, {"page": "9" * 30}, {"limit": "0"}, {"limit": "1.5"}):
        assert refused(world.owner.get("/app", **wrong)) == (400, "invalid_body")


def test_a_key_of_one_app_sees_that_app_only(world: World) -> None:
    world.add_app("com.example.second")
    reader = world.caller_with_roles(world.on_app("app_reader", "com.example.second"))
    assert [app["app_id"] for app in accepted(reader.get("/app"))] == ["com.example.second"]


def test_deleting_an_app_takes_everything_in_it(world: World) -> None:
    world.add_bundle("1.0.0")
    accepted(world.owner.post("/channel", app_id=APP, channel="staff", version="1.0.0"))
    accepted(world.owner.post("/device", app_id=APP, device_id="d" * 8, channel="staff"))
    accepted(world.owner.delete(f"/app/{APP}"))
    assert [list(world.rows(table)) for table in (app_versions, channels, channel_devices)] == [[], [], []]
    assert refused(world.owner.delete(f"/app/{APP}")) == (400, "cannot_delete_app")


@pytest.mark.parametrize("role", ["org_admin", "org_member"])
def test_only_a_super_admin_deletes_an_app(world: World, role: str) -> None:
    caller = world.caller_with_roles(Binding.on_org(role, ORG))
    assert refused(caller.delete(f"/app/{APP}")) == (400, "cannot_delete_app")
    assert refused(caller.delete("/app/nope")) == (400, "invalid_app_id")


def test_an_app_that_comes_back_is_another_one(world: World) -> None:
    before = world.app()
    accepted(world.owner.delete(f"/app/{APP}"))
    accepted(world.owner.post("/app", app_id=APP, name="Again", owner_org=ORG))
    after = world.app()
    assert after["id"] != before["id"]
    assert after["revision"] > before["revision"]


def test_changes_of_apps_are_in_the_audit_log_with_their_actor(world: World) -> None:
    accepted(world.owner.post("/app", app_id="com.example.new", name="New", owner_org=ORG))
    accepted(world.owner.delete("/app/com.example.new"))
    entries = [entry for entry in world.audit_of("apps") if entry["record_id"] == "com.example.new"]
    assert [entry["operation"] for entry in entries] == ["INSERT", "DELETE"]
    assert {entry["actor_type"] for entry in entries} == {"apikey"}
    assert entries[0]["new_record"]["name"] == "New"
    assert "revision" not in entries[0]["new_record"]
