"""Uploads that are refused, at the door or after the zip was looked at: nothing of them stays."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from capstan.bundles.upload import NDJSON, PATH
from capstan.db.tables import app_versions, channels, orgs, stored_objects
from tests.bundles.uploads import LIMITS, PAGE, Uploads
from tests.files.zips import flagged, noise, overlapping, zip_of
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, World

GOOD = zip_of({"index.html": PAGE})
KEY = "MIIBCgKCAQEAvXbD0001"


def nothing_stays(uploads: Uploads) -> bool:
    stored = [*uploads.world.rows(app_versions), *uploads.world.rows(stored_objects), *uploads.world.rows(channels)]
    return not stored and not uploads.left_over() and not list(uploads.objects.list_names())


def test_failures_come_in_order(uploads: Uploads) -> None:
    world = uploads.world
    reader, uploader = world.caller_of_mode("read"), world.caller_of_mode("upload")
    world.alter(orgs, {"enforce_encrypted_bundles": True, "required_encryption_key": KEY})
    world.add_bundle("1.0.0")
    # Each request mends the first fault of the one before.
    asked: dict[str, Any] = {"app_id": None, "version": None, "session_key": "iv:key", "channel": "new"}
    for mended, code in (
        ({}, "missing_app_id"),
        ({"app_id": "invalid_app"}, "invalid_app_id"),
        ({"app_id": "nonexistent.app"}, "missing_version"),
        ({"version": "v1"}, "missing_checksum"),
        ({"checksum": "signed"}, "invalid_version_format"),
        ({"version": "1.0.0", "min_update_version": "1"}, "invalid_version_format"),
        ({"min_update_version": "1.0.0", "key_id": "x" * 21}, "cannot_create_bundle"),
    ):
        asked.update(mended)
        assert refused(uploads.send(b"", **asked)) == (400, code)
    asked["app_id"] = APP
    assert refused(uploads.send(b"", caller=reader, **asked)) == (400, "cannot_create_bundle")
    for mended, code in (
        ({}, "cannot_create_bundle"),
        ({"key_id": "", "session_key": ""}, "encryption_required"),
        ({"session_key": "iv:key"}, "encryption_key_required"),
        ({"key_id": "another"}, "encryption_key_mismatch"),
        ({"key_id": KEY}, "version_already_exists"),
        ({"version": "1.0.1"}, "cannot_access_app"),
    ):
        asked.update(mended)
        assert refused(uploads.send(b"", caller=uploader, **asked)) == (400, code)
    accepted(uploads.send(b"sealed", **asked))


def test_who_may_not_promote_may_not_publish_to_a_channel(uploads: Uploads) -> None:
    world = uploads.world
    accepted(world.owner.post("/channel", app_id=APP, channel="production"))
    preview = world.caller_with_roles(world.on_app("app_preview"))
    refusal = uploads.send(GOOD, caller=preview, channel="production")
    assert refused(refusal) == (400, "cannot_promote_bundle")


def test_deleted_names_stay_taken(uploads: Uploads) -> None:
    uploads.world.add_bundle("1.0.0", deleted=True)
    assert refused(uploads.send(GOOD)) == (400, "version_already_exists")


def test_a_key_is_needed(uploads: Uploads) -> None:
    owner = uploads.world.owner
    assert refused(uploads.send(GOOD, caller=owner.with_headers({}))) == (401, "no_key_provided")
    assert refused(uploads.send(GOOD, caller=uploads.world.calling_with("nope"))) == (401, "invalid_apikey")
    accepted(uploads.send(GOOD, caller=uploads.world.modern))


def test_other_methods_have_no_route(uploads: Uploads) -> None:
    async def get() -> httpx.Response:
        transport = httpx.ASGITransport(uploads.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://capstan.test", trust_env=False) as client:
            return await client.get(PATH, headers=dict(uploads.world.owner.headers))

    answer = uploads.world.runner.run(get())
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")


def test_a_channel_name_has_an_end(uploads: Uploads) -> None:
    assert refused(uploads.send(GOOD, channel="c" * 256)) == (400, "invalid_body")
    assert refused(uploads.send(GOOD, comment="a\0b")) == (400, "invalid_body")


@pytest.mark.parametrize("announced", [True, False])
def test_a_zip_that_is_too_large_is_refused(uploads: Uploads, announced: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(17):
            yield bytes(LIMITS.max_zip_bytes // 16)

    body = bytes(LIMITS.max_zip_bytes + 1) if announced else chunks()
    assert refused(uploads.send(body)) == (413, "bundle_too_large")
    assert nothing_stays(uploads)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "zip_damaged"),
        (b"not a zip", "zip_damaged"),
        (GOOD[:-10], "zip_damaged"),
        (zip_of({"index.html": PAGE, "../../escape.js": b"x"}), "zip_path_unsafe"),
        (zip_of({"index.html": PAGE, "App.js": b"x", "app.js": b"y"}), "zip_name_collision"),
        (zip_of({"dist/index.html": PAGE}), "zip_no_index_html"),
        (zip_of({"index.html": PAGE, **{f"{n}.js": b"x" for n in range(50)}}), "zip_too_many_files"),
        (zip_of({"index.html": PAGE, "bomb.bin": bytes(4 << 20)}), "zip_ratio_suspicious"),
        (flagged(GOOD, 0x1), "zip_encrypted"),
        (overlapping(), "zip_entries_overlap"),
    ],
)
def test_hostile_zips_are_refused(uploads: Uploads, body: bytes, code: str) -> None:
    assert refused(uploads.send(body, channel="production")) == (400, code)
    assert nothing_stays(uploads)


def test_a_zip_that_lies_about_its_content_is_refused(uploads: Uploads) -> None:
    body = bytearray(zip_of({"index.html": noise(2_000)}))
    body[500:504] = struct.pack("<I", 0)
    assert refused(uploads.send(bytes(body))) == (400, "zip_damaged")
    assert nothing_stays(uploads)


def test_a_zip_that_changed_on_its_way_is_refused(uploads: Uploads) -> None:
    assert refused(uploads.send(GOOD, checksum="ab" * 32)) == (400, "checksum_mismatch")
    assert uploads.world.rows(app_versions) == []


def test_in_a_stream_a_refusal_at_the_door_has_its_own_status(uploads: Uploads) -> None:
    assert refused(uploads.send(GOOD, accept=NDJSON, version="v1")) == (400, "invalid_version_format")


def test_in_a_stream_a_later_refusal_is_the_last_line(uploads: Uploads) -> None:
    last = uploads.lines(b"not a zip")[-1]
    assert (last["error"], last["status"]) == ("zip_damaged", 400)
    assert last.keys() == {"error", "message", "moreInfo", "status"}
    assert nothing_stays(uploads)


def test_what_a_bundle_changes_is_told_to_readers_only(world: World) -> None:
    def asked(**query: str) -> tuple[int, str]:
        return refused(world.owner.get("/capstan/bundle/changes", **query))

    assert asked() == (400, "missing_app_id")
    assert asked(app_id="invalid_app") == (400, "invalid_app_id")
    assert asked(app_id="nonexistent.app") == (400, "cannot_get_bundle")
    assert asked(app_id=APP) == (400, "missing_version")
    assert asked(app_id=APP, version="9.9.9") == (400, "cannot_find_version")
    world.add_bundle("1.0.0")
    assert asked(app_id=APP, version="1.0.0", since="9.9.9") == (400, "cannot_find_version")
