"""An upload that goes well: the bundle, its files, its channel, and what it changes."""

from __future__ import annotations

import hashlib

from capstan.db.tables import app_versions, apps, channels, deploy_history, stored_objects
from tests.bundles.uploads import PAGE, Uploads
from tests.files.zips import noise, text, zip_of
from tests.public_api.plane import accepted
from tests.public_api.world import APP, ORG

FIRST = {"index.html": PAGE, "app.js": text(20_000), "logo.png": noise(5_000), "old.css": b"p{}"}
SECOND = {"index.html": PAGE, "app.js": text(20_000, seed=2), "logo.png": noise(5_000), "new.css": b"i{}"}


def test_a_zip_becomes_a_bundle(uploads: Uploads) -> None:
    body = zip_of(FIRST)
    revision = uploads.world.app()["revision"]
    answer = accepted(uploads.send(body, link="https://notes", comment="first", min_update_version="0.9.0"))
    bundle = answer["bundle"]
    sha256 = hashlib.sha256(body).hexdigest()
    assert (bundle["name"], bundle["storage_provider"], bundle["checksum"]) == ("1.0.0", "r2", sha256)
    assert (bundle["link"], bundle["comment"], bundle["min_update_version"]) == ("https://notes", "first", "0.9.0")
    assert bundle["r2_path"].startswith(f"orgs/{ORG}/apps/{APP}/")
    assert uploads.objects.read(bundle["r2_path"]) == body
    assert [file["file_name"] for file in bundle["manifest"]] == ["app.js.br", "index.html", "logo.png", "old.css"]
    assert (answer["files"], answer["objects_stored"], answer["objects_reused"]) == (4, 4, 0)
    assert accepted(uploads.world.owner.get("/bundle", app_id=APP)) == [bundle]
    app = uploads.world.app()
    assert (app["last_version"], app["manifest_bundle_count"]) == ("1.0.0", 1)
    assert app["revision"] > revision
    assert uploads.left_over() == []


def test_every_object_is_accounted_for(uploads: Uploads) -> None:
    bundle = accepted(uploads.send(zip_of(FIRST)))["bundle"]
    sizes = {row["key"]: row["size"] for row in uploads.world.rows(stored_objects)}
    keys = {bundle["r2_path"], *(file["s3_path"] for file in bundle["manifest"])}
    assert sizes.keys() == keys
    assert all(len(uploads.objects.read(key)) == size for key, size in sizes.items())
    (row,) = uploads.world.rows(app_versions)
    assert row["size"] == sizes[bundle["r2_path"]]


def test_it_is_recorded(uploads: Uploads) -> None:
    bundle = accepted(uploads.send(zip_of(FIRST)))["bundle"]
    (entry,) = uploads.world.audit_of("app_versions")
    assert (entry["operation"], entry["record_id"]) == ("INSERT", str(bundle["id"]))
    assert entry["new_record"]["checksum"] == bundle["checksum"]


def test_a_second_bundle_stores_only_what_is_new(uploads: Uploads) -> None:
    accepted(uploads.send(zip_of(FIRST)))
    answer = accepted(uploads.send(zip_of(SECOND), version="1.0.1"))
    assert (answer["objects_stored"], answer["objects_reused"]) == (2, 2)
    changed = answer["changed"]
    assert (changed["since"], changed["unchanged"]) == ("1.0.0", 2)
    assert (changed["added"], changed["removed"], changed["changed"]) == (["new.css"], ["old.css"], ["app.js"])
    sizes = {row["key"]: row["size"] for row in uploads.world.rows(stored_objects)}
    new = [file for file in answer["bundle"]["manifest"] if file["file_name"] in ("app.js.br", "new.css")]
    assert changed["download_bytes"] == sum(sizes[file["s3_path"]] for file in new)
    assert changed["zip_bytes"] == len(zip_of(SECOND)) > changed["download_bytes"]
    assert uploads.world.app()["manifest_bundle_count"] == 2


def test_what_a_bundle_changes_can_be_asked_later(uploads: Uploads) -> None:
    accepted(uploads.send(zip_of(FIRST)))
    changed = accepted(uploads.send(zip_of(SECOND), version="1.0.1"))["changed"]
    accepted(uploads.send(zip_of(SECOND), version="1.0.2"))
    owner = uploads.world.owner
    assert accepted(owner.get("/capstan/bundle/changes", app_id=APP, version="1.0.1")) == changed
    since_first = accepted(owner.get("/capstan/bundle/changes", app_id=APP, version="1.0.2", since="1.0.0"))
    assert since_first == changed
    nothing = accepted(owner.get("/capstan/bundle/changes", app_id=APP, version="1.0.2"))
    assert (nothing["since"], nothing["unchanged"], nothing["download_bytes"]) == ("1.0.1", 4, 0)
    all_of_it = accepted(owner.get("/capstan/bundle/changes", app_id=APP, version="1.0.0"))
    assert (all_of_it["since"], len(all_of_it["added"])) == (None, 4)


def test_the_first_channel_is_made_and_is_public(uploads: Uploads) -> None:
    answer = accepted(uploads.send(zip_of(FIRST), channel="production"))
    assert answer["channel"] == "production"
    shown = accepted(uploads.world.owner.get("/channel", app_id=APP, channel="production"))
    assert shown["version"] == {"id": answer["bundle"]["id"], "name": "1.0.0"}
    assert shown["public"] is True
    assert len(uploads.world.rows(deploy_history)) == 1


def test_another_channel_is_made_but_not_public(uploads: Uploads) -> None:
    accepted(uploads.world.owner.post("/channel", app_id=APP, channel="production", public=True))
    accepted(uploads.send(zip_of(FIRST), channel="beta"))
    public = {row["name"]: row["public"] for row in uploads.world.rows(channels)}
    assert public == {"production": True, "beta": False}


def test_an_existing_channel_is_moved_and_compared_with(uploads: Uploads) -> None:
    accepted(uploads.send(zip_of(FIRST), channel="production"))
    accepted(uploads.send(zip_of({"index.html": PAGE}), version="1.0.1"))
    answer = accepted(uploads.send(zip_of(SECOND), version="1.0.2", channel="production"))
    assert answer["changed"]["since"] == "1.0.0"
    (channel,) = uploads.world.rows(channels)
    assert channel["version"] == answer["bundle"]["id"]
    assert len(uploads.world.rows(deploy_history)) == 2
    assert [entry["operation"] for entry in uploads.world.audit_of("channels")] == ["INSERT", "UPDATE"]


def test_a_preview_key_gets_a_channel_of_its_own(uploads: Uploads) -> None:
    preview = uploads.world.caller_with_roles(uploads.world.on_app("app_preview"))
    for version in ("1.0.0", "1.0.1"):
        accepted(uploads.send(zip_of(FIRST), caller=preview, version=version, channel="pr-7"))
    (channel,) = uploads.world.rows(channels)
    assert (channel["name"], channel["public"]) == ("pr-7", False)


def test_an_encrypted_zip_is_stored_as_it_came(uploads: Uploads) -> None:
    body = noise(3_000)
    answer = accepted(uploads.send(body, session_key="iv+a/b=:key", key_id="abcd", checksum="signed"))
    bundle = answer["bundle"]
    assert (bundle["session_key"], bundle["key_id"], bundle["checksum"]) == ("iv+a/b=:key", "abcd", "signed")
    assert (bundle["manifest"], bundle["manifest_count"], answer["files"]) == (None, 0, 0)
    assert uploads.objects.read(bundle["r2_path"]) == body
    assert answer["changed"] == {
        "since": None,
        "added": [],
        "removed": [],
        "changed": [],
        "unchanged": 0,
        "download_bytes": 3_000,
        "zip_bytes": 3_000,
    }
    assert uploads.world.app()["manifest_bundle_count"] == 0


def test_the_checksum_of_what_was_sent_is_compared(uploads: Uploads) -> None:
    body = zip_of(FIRST)
    accepted(uploads.send(body, checksum=hashlib.sha256(body).hexdigest().upper()))


def test_upload_keys_may_publish(uploads: Uploads) -> None:
    accepted(uploads.world.owner.post("/channel", app_id=APP, channel="production"))
    accepted(uploads.send(zip_of(FIRST), caller=uploads.world.caller_of_mode("upload"), channel="production"))


def test_progress_is_told_line_by_line(uploads: Uploads) -> None:
    body = zip_of(FIRST)
    lines = uploads.lines(body, channel="production")
    stages = [line["stage"] for line in lines[:-1]]
    assert list(dict.fromkeys(stages)) == ["received", "checking", "storing", "publishing"]
    assert lines[0] == {"stage": "received", "done": len(body), "total": len(body)}
    assert all(0 <= line["done"] <= line["total"] for line in lines[:-1])
    assert lines[-1]["bundle"]["name"] == "1.0.0"
    assert lines[-1]["files"] == 4


def test_a_deleted_bundle_is_nothing_to_compare_with(uploads: Uploads) -> None:
    accepted(uploads.send(zip_of(FIRST)))
    accepted(uploads.world.owner.delete("/bundle", app_id=APP, version="1.0.0"))
    answer = accepted(uploads.send(zip_of(FIRST), version="1.0.1"))
    assert (answer["changed"]["since"], answer["objects_reused"]) == (None, 4)
    with uploads.world.registry.read():
        assert uploads.world.rows(apps)[0]["manifest_bundle_count"] == 1
