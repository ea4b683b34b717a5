"""POST /bundle (contract: public 16.3)."""

from __future__ import annotations

from typing import Any

import pytest

from capstan.db.tables import app_versions, orgs
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, OWNER, World

URL = "https://bundles.example/1.0.0.zip"
KEY = "MIIBCgKCAQEAvXbD0001"


def body(**changes: Any) -> dict[str, Any]:
    return {"app_id": APP, "version": "1.0.0", "external_url": URL, "checksum": "ab" * 32, **changes}


def test_an_external_bundle_is_registered(world: World) -> None:
    created = accepted(world.owner.post("/bundle", **body(session_key="iv:key", key_id="abcd")))
    assert created["status"] == "success"
    bundle = created["bundle"]
    assert (bundle["name"], bundle["external_url"], bundle["storage_provider"]) == ("1.0.0", URL, "external")
    assert (bundle["checksum"], bundle["session_key"], bundle["key_id"]) == ("ab" * 32, "iv:key", "abcd")
    assert (bundle["r2_path"], bundle["manifest"], bundle["user_id"]) == (None, None, OWNER)
    assert bundle["created_by_apikey_rbac_id"] is not None
    assert accepted(world.owner.get("/bundle", app_id=APP)) == [bundle]


def test_it_is_the_last_version_and_counts_no_storage(world: World) -> None:
    revision = world.app()["revision"]
    accepted(world.owner.post("/bundle", **body()))
    assert world.app()["last_version"] == "1.0.0"
    assert world.app()["revision"] > revision
    (row,) = world.rows(app_versions)
    assert row["size"] == 0


def test_it_is_recorded(world: World) -> None:
    bundle = accepted(world.owner.post("/bundle", **body()))["bundle"]
    (entry,) = world.audit_of("app_versions")
    assert (entry["operation"], entry["record_id"]) == ("INSERT", str(bundle["id"]))
    assert entry["new_record"]["name"] == "1.0.0"
    assert not {"manifest", "native_packages"} & entry["new_record"].keys()


def test_failures_come_in_order(world: World) -> None:
    reader = world.caller_of_mode("read")
    world.alter(orgs, {"enforce_encrypted_bundles": True, "required_encryption_key": KEY})
    world.add_bundle("1.0.0")
    # Each request mends the first fault of the one before.
    asked: dict[str, Any] = {"external_url": "", "version": ""}
    for mended, code in (
        ({}, "missing_app_id"),
        ({"app_id": "invalid_app"}, "invalid_app_id"),
        ({"app_id": "nonexistent.app"}, "missing_version"),
        ({"version": "v1"}, "missing_external_url"),
        ({"external_url": "http://bundles.example/x.zip"}, "missing_checksum"),
        ({"checksum": "ab"}, "invalid_version_format"),
        ({"version": "1.0.0"}, "cannot_create_bundle"),
    ):
        asked.update(mended)
        assert refused(world.owner.post("/bundle", **asked)) == (400, code)
    asked["app_id"] = APP
    assert refused(reader.post("/bundle", **asked)) == (400, "cannot_create_bundle")
    for mended, code in (
        ({}, "invalid_protocol"),
        ({"external_url": URL, "session_key": " "}, "encryption_required"),
        ({"session_key": "iv:key"}, "encryption_key_required"),
        ({"key_id": "another"}, "encryption_key_mismatch"),
        ({"key_id": KEY}, "version_already_exists"),
    ):
        asked.update(mended)
        assert refused(world.owner.post("/bundle", **asked)) == (400, code)
    asked["version"] = "1.0.1"
    accepted(world.owner.post("/bundle", **asked))


def test_an_empty_request_is_refused(world: World) -> None:
    assert refused(world.owner.post("/bundle")) == (400, "invalid_json_parse_body")


@pytest.mark.parametrize("url", ["http://x.example/a.zip", "HTTPS://x.example/a.zip", "ftp://x", "//x", "https:/x"])
def test_only_https_is_accepted(world: World, url: str) -> None:
    assert refused(world.owner.post("/bundle", **body(external_url=url))) == (400, "invalid_protocol")


def test_a_deleted_namesake_is_told_apart(world: World) -> None:
    world.add_bundle("1.0.0", deleted=True)
    assert refused(world.owner.post("/bundle", **body())) == (400, "cannot_create_bundle")


def test_a_key_id_that_is_too_long_is_refused(world: World) -> None:
    assert refused(world.owner.post("/bundle", **body(key_id="x" * 21))) == (400, "cannot_create_bundle")


def test_the_same_name_in_another_app_is_another_bundle(world: World) -> None:
    world.add_bundle("1.0.0", world.add_app("com.other.app"))
    accepted(world.owner.post("/bundle", **body()))


def test_upload_keys_may_and_parameters_may_come_in_the_query(world: World) -> None:
    uploader = world.caller_of_mode("upload")
    accepted(uploader.request("POST", "/bundle", query=body()))


def test_a_wrong_type_is_refused(world: World) -> None:
    assert refused(world.owner.post("/bundle", **body(version=1))) == (400, "invalid_body")
    assert refused(world.owner.post("/bundle", **body(checksum="a\0b"))) == (400, "invalid_body")
