"""Requests that nobody honest sends get a clear refusal, and never harm others."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.uploads.site import CREATE, ROOT, Site, Uploader, base64_text, metadata, refused

LONG = f"{ROOT}/{'x/' * 1000}y"


@pytest.mark.parametrize(
    "key",
    [
        "x",
        "/",
        f"/{ROOT}/a",
        ROOT,
        f"{ROOT}/",
        f"{ROOT}//a",
        f"{ROOT}/a/",
        f"{ROOT}/./a",
        f"{ROOT}/../../../../../etc/passwd",
        f"{ROOT}/a/..",
        f"{ROOT}/a\0b",
        f"uploads/{'0' * 32}/0",
        "staging/0",
        LONG,
    ],
)
def test_a_key_outside_of_every_app_is_refused(simple_uploader: Uploader, key: str) -> None:
    assert refused(simple_uploader.create(key)) == (400, "invalid_file_path")
    # The client would resolve dots by itself.
    url = f"{CREATE}/{quote(key).replace('.', '%2E')}"
    assert refused(simple_uploader.patch(url, 0, b"x")) == (400, "invalid_file_path")
    assert simple_uploader.head(url).status_code == 400


@pytest.mark.parametrize("path", ["%zz", "a%", "%c3%28", "%ff", "%4"])
def test_a_broken_escape_is_refused(simple_uploader: Uploader, path: str) -> None:
    for method in ("PATCH", "GET"):
        answer = simple_uploader.ask(method, f"{CREATE}/{ROOT}/{path}")
        assert refused(answer) == (400, "invalid_file_path_encoding")


@pytest.mark.parametrize(
    ("sent", "refusal"),
    [
        ("filetype YQ==", (404, "not_found")),
        ("filename", (404, "not_found")),
        ("filename !!!", (404, "not_found")),
        (f"filename {base64.b64encode(bytes([0xFF, 0xFE])).decode()}", (404, "not_found")),
        (",", (400, "unknown_error")),
        (f"filename {base64_text(f'{ROOT}/a')},", (400, "unknown_error")),
        (f", filename {base64_text(f'{ROOT}/a')}", (400, "unknown_error")),
    ],
)
def test_metadata_that_name_no_file_are_refused(simple_uploader: Uploader, sent: str, refusal: tuple[int, str]) -> None:
    answer = simple_uploader.ask("POST", CREATE, {"upload-length": "1", "upload-metadata": sent})
    assert refused(answer) == refusal


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"content-type": "application/json"}, (415, "invalid_content_type")),
        ({"content-type": "application/json", "upload-length": "1"}, (415, "invalid_content_type")),
        ({}, (400, "missing_upload_length")),
        ({"upload-length": "-1"}, (400, "missing_upload_length")),
        ({"upload-length": "1e3"}, (400, "missing_upload_length")),
        ({"upload-length": "9" * 30}, (400, "missing_upload_length")),
        ({"upload-length": "١"}, (400, "missing_upload_length")),
        ({"upload-defer-length": "0"}, (400, "bad_upload_defer_length")),
        ({"upload-defer-length": "yes", "upload-length": "1"}, (400, "bad_upload_defer_length")),
    ],
)
def test_headers_are_judged_in_order(
    simple_uploader: Uploader, headers: dict[str, str], refusal: tuple[int, str]
) -> None:
    sent = {"capgkey": simple_uploader.secret, "upload-metadata": metadata(f"{ROOT}/headers"), **headers}
    answer = simple_uploader.client.post(CREATE, headers=_raw(sent))
    assert refused(answer) == refusal


def test_a_body_needs_a_type(simple_uploader: Uploader) -> None:
    sent = {"upload-length": "1", "upload-metadata": metadata(f"{ROOT}/typeless")}
    assert refused(simple_uploader.ask("POST", CREATE, sent, b"x")) == (415, "missing_content_type")


@pytest.mark.parametrize("method", ["PUT", "DELETE", "TRACE"])
def test_there_are_no_other_methods(simple_uploader: Uploader, method: str) -> None:
    for path in (CREATE, f"{CREATE}/{ROOT}/a"):
        assert refused(simple_uploader.ask(method, path)) == (404, "not_found")


def test_an_upload_is_created_at_the_route_itself_only(simple_uploader: Uploader) -> None:
    sent = {"upload-length": "1", "upload-metadata": metadata(f"{ROOT}/a")}
    assert refused(simple_uploader.ask("POST", f"{CREATE}/{ROOT}/a", sent)) == (404, "not_found")
    assert refused(simple_uploader.ask("PATCH", f"{CREATE}/", sent)) == (404, "not_found")
    assert simple_uploader.ask("POST", "/files/upload/attachmentsx", sent).status_code == 404


def test_every_answer_may_be_read_by_any_page(simple_uploader: Uploader) -> None:
    anybody = simple_uploader.with_key("")
    for answer in (
        anybody.create(),
        simple_uploader.create("x"),
        simple_uploader.ask("PUT", CREATE),
        simple_uploader.create(f"{ROOT}/page"),
        simple_uploader.head(f"{CREATE}/{ROOT}/page"),
        simple_uploader.patch(f"{CREATE}/{ROOT}/page", 9, b"x"),
        simple_uploader.client.options(CREATE, headers={"origin": "https://elsewhere.example"}),
    ):
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Upload-Offset" in answer.headers["access-control-expose-headers"]


def _raw(headers: dict[str, str]) -> dict[bytes, bytes]:
    """Headers as bytes: the client takes no others beyond ASCII."""
    return {name.encode(): value.encode() for name, value in headers.items()}


TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=40)
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "upload-length",
            "upload-offset",
            "upload-metadata",
            "upload-defer-length",
            "x-checksum-sha256",
            "content-type",
            "x-limited-key-id",
        ]
    ),
    st.one_of(TEXT, st.just("1"), st.just(metadata(f"{ROOT}/any"))),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=st.sampled_from(["POST", "PATCH", "HEAD", "GET"]), path=TEXT, headers=HEADERS, body=st.binary(max_size=9))
def test_no_request_makes_the_server_fail(
    simple_uploader: Uploader, simple_site: Site, method: str, path: str, headers: dict[str, str], body: bytes
) -> None:
    url = CREATE if method == "POST" else f"{CREATE}/{ROOT}/{quote(path)}"
    sent = _raw({**{name: value.strip() for name, value in headers.items()}, "capgkey": simple_uploader.secret})
    answer = simple_uploader.client.request(method, url, headers=sent, content=body or None)
    assert answer.status_code < 500, answer.text
