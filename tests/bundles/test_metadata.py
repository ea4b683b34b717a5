"""POST /bundle/metadata (contract: public 16.5)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping

from capstan.db.tables import app_versions
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, World

PATH = "/bundle/metadata"


def bundle(world: World) -> RowMapping:
    (row,) = world.rows(app_versions)
    return row


def test_link_and_comment_are_set_and_cleared(world: World) -> None:
    asked: dict[str, Any] = {"app_id": APP, "version_id": world.add_bundle("1.0.0")}
    revision = world.app()["revision"]
    assert accepted(world.owner.post(PATH, **asked, link="https://notes", comment="fix")) == {"status": "ok"}
    assert (bundle(world)["link"], bundle(world)["comment"]) == ("https://notes", "fix")
    assert world.app()["revision"] > revision
    accepted(world.owner.post(PATH, **asked, link=None))
    assert (bundle(world)["link"], bundle(world)["comment"]) == (None, "fix")
    accepted(world.owner.post(PATH, **asked, comment=""))
    assert bundle(world)["comment"] == ""


def test_it_is_recorded(world: World) -> None:
    accepted(world.owner.post(PATH, app_id=APP, version_id=world.add_bundle("1.0.0"), comment="fix"))
    (entry,) = world.audit_of("app_versions")
    assert (entry["operation"], entry["changed_fields"]) == ("UPDATE", ["comment", "updated_at"])


def test_deleted_bundles_are_found(world: World) -> None:
    bundle_id = world.add_bundle("1.0.0", deleted=True)
    accepted(world.owner.request("POST", PATH, query={"app_id": APP, "version_id": bundle_id, "comment": "old"}))
    assert bundle(world)["comment"] == "old"


def test_failures_come_in_order(world: World) -> None:
    reader = world.caller_of_mode("read")
    bundle_id = world.add_bundle("1.0.0")
    asked: dict[str, Any] = {"app_id": "invalid_app"}
    assert refused(world.owner.post(PATH)) == (400, "invalid_json_parse_body")
    assert refused(world.owner.post(PATH, **asked)) == (400, "missing_required_fields")
    asked["version_id"] = 999_999
    assert refused(world.owner.post(PATH, **asked)) == (400, "invalid_app_id")
    asked["app_id"] = "nonexistent.app"
    assert refused(world.owner.post(PATH, **asked)) == (400, "cannot_update_bundle_metadata")
    asked["app_id"] = APP
    assert refused(reader.post(PATH, **asked)) == (400, "cannot_update_bundle_metadata")
    assert refused(world.owner.post(PATH, **asked)) == (400, "cannot_find_version")
    asked["version_id"] = bundle_id
    assert refused(world.owner.post(PATH, **asked)) == (400, "no_fields_to_update")
    assert refused(world.owner.post(PATH, **asked, link=1)) == (400, "invalid_body")
