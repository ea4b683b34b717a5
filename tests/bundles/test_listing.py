"""GET /bundle (contract: public 16.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import insert

from capstan.bundles.service import MAX_FILES_SHOWN
from capstan.db.tables import manifest
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, OWNER, SYSTEM, World

MEMBERS = {
    *("id", "app_id", "name", "owner_org", "user_id", "created_at", "updated_at", "deleted", "deleted_at"),
    *("external_url", "checksum", "session_key", "key_id", "storage_provider", "r2_path", "min_update_version"),
    *("native_packages", "manifest", "manifest_count", "link", "comment", "cli_version"),
    *("created_by_apikey_rbac_id", "bucket_id", "minUpdateVersion"),
}


def add_files(world: World, bundle_id: int, *names: str) -> None:
    with world.registry.write(SYSTEM) as session:
        rows = [
            {"app_version_id": bundle_id, "file_name": name, "file_hash": f"hash of {name}", "s3_path": f"to/{name}"}
            for name in names
        ]
        session.run(insert(manifest), rows)


def test_a_bundle_is_shown_whole(world: World) -> None:
    native = [{"name": "@capacitor/core", "version": "7.0.0"}]
    world.add_bundle("1.0.0", min_update_version="0.9.0", native_packages=native, link="https://notes", comment="hi")
    (bundle,) = accepted(world.owner.get("/bundle", app_id=APP))
    assert bundle.keys() == MEMBERS
    assert (bundle["name"], bundle["owner_org"], bundle["user_id"]) == ("1.0.0", ORG, OWNER)
    assert bundle["minUpdateVersion"] == bundle["min_update_version"] == "0.9.0"
    assert bundle["native_packages"] == native
    assert bundle["bucket_id"] is None
    assert bundle["manifest"] is None
    assert bundle["deleted"] is False


def test_files_that_devices_fetch_one_by_one_are_shown(world: World) -> None:
    first = world.add_bundle("1.0.0", manifest_count=2)
    second = world.add_bundle("1.0.1", manifest_count=1)
    add_files(world, first, "app.js", "index.html")
    add_files(world, second, "index.html")
    shown = {bundle["name"]: bundle["manifest"] for bundle in accepted(world.owner.get("/bundle", app_id=APP))}
    assert shown == {
        "1.0.0": [
            {"file_name": "app.js", "s3_path": "to/app.js", "file_hash": "hash of app.js"},
            {"file_name": "index.html", "s3_path": "to/index.html", "file_hash": "hash of index.html"},
        ],
        "1.0.1": [{"file_name": "index.html", "s3_path": "to/index.html", "file_hash": "hash of index.html"}],
    }


def test_a_page_shows_only_so_many_files(world: World) -> None:
    for name in ("1.0.0", "1.0.1", "1.0.2"):
        add_files(world, world.add_bundle(name, manifest_count=MAX_FILES_SHOWN // 2), "index.html")
    shown = {bundle["name"]: bundle for bundle in accepted(world.owner.get("/bundle", app_id=APP))}
    assert [name for name, bundle in shown.items() if bundle["manifest"]] == ["1.0.2", "1.0.1"]
    assert (shown["1.0.0"]["manifest"], shown["1.0.0"]["manifest_count"]) == (None, MAX_FILES_SHOWN // 2)
    (alone,) = accepted(world.owner.get("/bundle", app_id=APP, version="1.0.0"))
    assert len(alone["manifest"]) == 1


def test_the_newest_come_first_fifty_a_page(world: World) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(53):
        world.add_bundle(f"1.0.{number}", created_at=start + timedelta(minutes=number // 2))
    first, second, third = (
        [bundle["name"] for bundle in accepted(world.owner.get("/bundle", app_id=APP, page=page))] for page in (0, 1, 2)
    )
    assert first[:3] == ["1.0.52", "1.0.51", "1.0.50"]
    assert second == ["1.0.2", "1.0.1", "1.0.0"]
    assert (len(first), third) == (50, [])


def test_the_page_may_come_in_a_body(world: World) -> None:
    world.add_bundle("1.0.0")
    assert accepted(world.owner.request("GET", "/bundle", body={"app_id": APP, "page": 1})) == []


def test_one_bundle_can_be_asked_for(world: World) -> None:
    world.add_bundle("1.0.0")
    wanted = world.add_bundle("1.0.1")
    for query in ({"version": "1.0.1"}, {"id": wanted}):
        assert [bundle["id"] for bundle in accepted(world.owner.get("/bundle", app_id=APP, **query))] == [wanted]
    assert accepted(world.owner.get("/bundle", app_id=APP, version="2.0.0")) == []


def test_deleted_bundles_and_those_of_other_apps_are_left_out(world: World) -> None:
    world.add_bundle("1.0.0", deleted=True)
    world.add_bundle("1.0.0", world.add_app("com.other.app"))
    assert accepted(world.owner.get("/bundle", app_id=APP)) == []


def test_failures_come_in_order(world: World) -> None:
    assert refused(world.owner.get("/bundle")) == (400, "missing_app_id")
    assert refused(world.owner.get("/bundle", app_id="invalid_app")) == (400, "invalid_app_id")
    assert refused(world.owner.get("/bundle", app_id="nonexistent.app")) == (400, "cannot_get_bundle")


@pytest.mark.parametrize("page", ["-1", "1.5", "one", str(2**64)])
def test_a_page_is_a_whole_number(world: World, page: str) -> None:
    assert refused(world.owner.get("/bundle", app_id=APP, page=page)) == (400, "invalid_body")


def test_who_may_not_read_the_app_learns_nothing(world: World) -> None:
    stranger = world.caller_of_mode("all", world.add_org("Other"))
    hidden = stranger.get("/bundle", app_id=APP)
    assert refused(hidden) == (400, "cannot_get_bundle")
    assert hidden.json()["moreInfo"] == {"app_id": APP}


def test_who_may_read_the_app_sees_its_bundles(world: World) -> None:
    world.add_bundle("1.0.0")
    for reader in (world.caller_of_mode("read"), world.caller_with_roles(world.on_app("app_reader"))):
        assert len(accepted(reader.get("/bundle", app_id=APP))) == 1
