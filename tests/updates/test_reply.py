"""The bytes of answers (contract: device 1.9), and manifest answers that are made once for all devices."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates import reply
from capstan.updates.decision import Decision, decide
from capstan.updates.gzip_member import deflate_tail, gzip_member
from capstan.updates.manifest_body import ManifestBodies, manifest_body, sent_file_name
from capstan.updates.reply import NO_ZIP_URL, reply_body, wants_manifest
from capstan.updates.snapshot import NO_STATE, AppSnapshot, Bundle, ManifestFile
from tests.updates.world import (
    B_NIGHTLY,
    DELTA_ROWS,
    DEV,
    ORIGIN,
    check,
    delta,
    notes,
    production,
    snapshot,
    zip_bundle,
)

OTHER_DEVICE = "00000000-0000-4000-8000-0000000000ff"


def ask(app: AppSnapshot, **changes: Any) -> Decision:
    return decide(app, NO_STATE, check(**changes))


def told(decision: Decision) -> Any:
    return json.loads(reply_body(decision, ORIGIN))


def with_zip(**fields: Any) -> AppSnapshot:
    """An app whose bundle has a zip and delta files."""
    bundle = zip_bundle(7, "2.1.0", has_manifest=True, **fields)
    return snapshot("io.acme.notes", production(bundle), expose_metadata=True)


# --- Plain answers ---------------------------------------------------------------------------------------------------


def test_going_back_to_builtin_is_told_in_the_bare_form() -> None:
    decision = ask(snapshot("io.acme.notes", production(None)), version_name="1.9.0")
    assert reply_body(decision, ORIGIN) == b'{"version":"builtin"}'


def test_texts_are_escaped_as_json() -> None:
    name = 'night"ly\\\n\u2028é'
    main = production(zip_bundle(1, name), disable_auto_update="none", disable_auto_update_under_native=False)
    assert told(ask(snapshot("io.acme.notes", main)))["version"] == name
    assert told(ask(snapshot("io.acme.notes", production(B_NIGHTLY)), version_name='"'))["error"] == "semver_error"


def test_a_missing_checksum_is_null_in_the_answer_and_empty_in_the_url() -> None:
    answer = told(ask(notes(production(zip_bundle(1, "2.1.0", checksum=None)))))
    assert answer["checksum"] is None
    assert answer["url"].endswith(f"2.1.0.zip?key=&device_id={DEV}")


def test_an_encrypted_checksum_goes_into_the_url_unescaped() -> None:
    answer = told(ask(notes(production(zip_bundle(1, "2.1.0", checksum="a+b/c=")))))
    assert f"?key=a+b/c=&device_id={DEV}" in answer["url"]


@pytest.mark.parametrize(
    ("link", "comment", "plugin_version", "shown"),
    [
        ("https://a.example", "Fixes", "8.35.0", {"link", "comment"}),
        ("https://a.example", "", "8.35.0", {"link"}),
        (None, "Fixes", "8.35.0", {"comment"}),
        ("https://a.example", "Fixes", "8.34.0", set()),
    ],
)
def test_link_and_comment_are_told_where_they_are_known(
    link: str | None, comment: str | None, plugin_version: str, shown: set[str]
) -> None:
    main = production(zip_bundle(1, "2.1.0", link=link, comment=comment))
    app = snapshot("io.acme.notes", main, expose_metadata=True)
    assert set(told(ask(app, plugin_version=plugin_version))) & {"link", "comment"} == shown
    hidden = snapshot("io.acme.notes", main)
    assert set(told(ask(hidden))) & {"link", "comment"} == set()


def test_the_bodies_for_apps_that_are_not_served_are_the_contract_s() -> None:
    assert json.loads(reply.ON_PREMISE_APP) == {"error": "on_premise_app", "message": "On-premise app detected"}
    assert json.loads(reply.ON_PREMISE_APP_SHORT) == {"error": "on_premise_app"}


# --- Manifest answers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plugin_version", "wanted"),
    [("5.9.9", False), ("5.10.0", True), ("7.0.34", False), ("7.0.35", True), ("8.0.0", True), ("0.0.1", True)],
)
def test_a_manifest_is_wanted_where_the_plugin_knows_it(plugin_version: str, wanted: bool) -> None:
    decision = ask(with_zip(), plugin_version=plugin_version)
    assert wants_manifest(decision) is wanted
    assert "manifest" not in told(decision)


def test_no_manifest_is_wanted_for_refusals_external_bundles_and_bundles_without_one() -> None:
    assert not wants_manifest(ask(with_zip(), version_name="2.1.0"))
    assert not wants_manifest(ask(with_zip(external_url="https://cdn.example/a.zip")))
    assert not wants_manifest(ask(notes()))


@pytest.mark.parametrize("app", [with_zip(link="https://a.example"), with_zip(session_key="a:b"), delta()])
def test_a_manifest_answer_is_the_plain_answer_with_the_manifest_in_its_place(app: AppSnapshot) -> None:
    decision = ask(app)
    body = manifest_body(decision, ORIGIN, DELTA_ROWS)
    for device in (DEV, OTHER_DEVICE):
        answer = json.loads(body.plain(device))
        assert list(answer)[4] == "manifest"
        manifest = answer.pop("manifest")
        assert list(answer.items()) == list(told(ask(app, device_id=device)).items())
        assert [list(entry) for entry in manifest] == [["file_name", "file_hash", "download_url"]] * len(DELTA_ROWS)
        bundle_id = decision.bundle.id if decision.bundle else None
        assert [entry["download_url"] for entry in manifest] == [
            f"{ORIGIN}/files/read/attachments/{row.s3_path}?key={bundle_id}" for row in DELTA_ROWS
        ]


def test_a_bundle_without_a_zip_gets_a_url_that_answers_404() -> None:
    assert json.loads(manifest_body(ask(delta()), ORIGIN, DELTA_ROWS).plain(DEV))["url"] == NO_ZIP_URL


def test_rows_without_all_three_texts_are_left_out() -> None:
    rows = [ManifestFile("", "h", "p"), ManifestFile("f", "", "p"), ManifestFile("f", "h", ""), DELTA_ROWS[0]]
    answer = json.loads(manifest_body(ask(with_zip()), ORIGIN, rows).plain(DEV))
    assert [entry["file_name"] for entry in answer["manifest"]] == ["index.html"]
    assert "manifest" not in json.loads(manifest_body(ask(with_zip()), ORIGIN, rows[:3]).plain(DEV))


@pytest.mark.parametrize(
    ("stored", "s3_path", "sent"),
    [
        ("my%20dir/a%20b.js", "o/h_my%20dir/a%20b.js", "my dir/a b.js"),
        ("caf%C3%A9.js", "o/h_caf%C3%A9.js", "café.js"),
        ("a(1)!%20.js", "o/h_a(1)!%20.js", "a(1)! .js"),
        ("plain.js", "o/h_plain.js", "plain.js"),
        ("100%25.js", "o/delta/abc", "100%25.js"),
        ("a%2Fb.js", "o/h_a%2Fb.js", "a%2Fb.js"),
        ("a%5Cb.js", "o/h_a%5Cb.js", "a%5Cb.js"),
        ("%2E%2E/b.js", "o/h_%2E%2E/b.js", "%2E%2E/b.js"),
        ("a%20b/../c.js", "o/h_a%20b/../c.js", "a%20b/../c.js"),
        ("a//%20b.js", "o/h_a//%20b.js", "a//%20b.js"),
        ("a%00.js", "o/h_a%00.js", "a%00.js"),
        ("caf%c3%a9.js", "o/h_caf%c3%a9.js", "caf%c3%a9.js"),
        ("bad%FF.js", "o/h_bad%FF.js", "bad%FF.js"),
        ("bad%2.js", "o/h_bad%2.js", "bad%2.js"),
        ("a b%20.js", "o/h_a b%20.js", "a b%20.js"),
    ],
)
def test_a_percent_encoded_name_is_decoded_only_if_it_is_safe_and_comes_back(
    stored: str, s3_path: str, sent: str
) -> None:
    assert sent_file_name(ManifestFile(stored, "h", s3_path)) == sent


# --- Compression -----------------------------------------------------------------------------------------------------


@given(st.binary(max_size=300), st.binary(max_size=3000))
@settings(max_examples=200, deadline=None)
def test_a_head_and_a_tail_make_one_gzip_member(head: bytes, tail: bytes) -> None:
    member = gzip_member(head, deflate_tail(tail))
    assert gzip.decompress(member) == head + tail
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert inflater.decompress(member) + inflater.flush() == head + tail
    assert inflater.eof
    assert inflater.unused_data == b""


def test_a_head_longer_than_a_stored_block_is_kept_whole() -> None:
    head, tail = b"ab" * 70_000, b"tail" * 9
    assert gzip.decompress(gzip_member(head, deflate_tail(tail))) == head + tail


@pytest.mark.parametrize("app", [with_zip(), delta()])
def test_a_compressed_answer_is_the_plain_one(app: AppSnapshot) -> None:
    body = manifest_body(ask(app), ORIGIN, DELTA_ROWS)
    for device in (DEV, OTHER_DEVICE):
        assert gzip.decompress(body.gzipped(device)) == body.plain(device)


# --- The answers at hand ---------------------------------------------------------------------------------------------


def test_a_kept_answer_is_found_again_for_the_same_bundle_origin_and_shape_only() -> None:
    bodies = ManifestBodies(1_000_000)
    decision = ask(with_zip(link="https://a.example"))
    body = manifest_body(decision, ORIGIN, DELTA_ROWS)
    bodies.keep(decision, ORIGIN, body)

    assert bodies.find(ask(with_zip(link="https://a.example"), device_id=OTHER_DEVICE), ORIGIN) is body
    assert bodies.find(decision, "https://other.example") is None
    assert bodies.find(ask(with_zip(link="https://b.example")), ORIGIN) is None
    assert bodies.find(ask(with_zip(link="https://a.example"), plugin_version="8.34.0"), ORIGIN) is None


def test_answers_are_dropped_least_recently_used_first_to_stay_within_the_bytes() -> None:
    decisions = [ask(snapshot("io.acme.notes", production(_delta_bundle(number)))) for number in (1, 2, 3)]
    kept = [manifest_body(decision, ORIGIN, DELTA_ROWS) for decision in decisions]
    bodies = ManifestBodies(kept[0].size * 2 + 10)

    bodies.keep(decisions[0], ORIGIN, kept[0])
    bodies.keep(decisions[1], ORIGIN, kept[1])
    assert bodies.find(decisions[0], ORIGIN) is kept[0]
    bodies.keep(decisions[2], ORIGIN, kept[2])

    assert [bodies.find(decision, ORIGIN) is not None for decision in decisions] == [True, False, True]
    assert bodies.size == kept[0].size + kept[2].size


def test_an_answer_that_is_kept_twice_counts_once_and_one_that_is_too_large_is_not_kept() -> None:
    decision = ask(with_zip())
    body = manifest_body(decision, ORIGIN, DELTA_ROWS)
    bodies = ManifestBodies(body.size)
    bodies.keep(decision, ORIGIN, body)
    bodies.keep(decision, ORIGIN, body)
    assert bodies.size == body.size
    small = ManifestBodies(body.size - 1)
    small.keep(decision, ORIGIN, body)
    assert (small.size, small.find(decision, ORIGIN)) == (0, None)


def _delta_bundle(number: int) -> Bundle:
    return Bundle(id=number, name="2.1.0", has_manifest=True)
