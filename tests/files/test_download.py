from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from capstan.files.download import Downloads, Sent, content_type, possible_keys
from capstan.files.objects import WINDOW, ObjectStore, S3Options, open_objects
from tests.files.zips import noise

ROOT = "orgs/046a36ac-e03c-4590-9257-bd6c9dba9ee8/apps/io.acme.notes"
KEY = f"{ROOT}/2.5.0.zip"
DEVICE = "00009a6b-eefe-490a-9c60-8e965132ae51"
READ = "/files/read/attachments/"


@dataclass
class Server:
    """The endpoint alone, and what it reported."""

    store: ObjectStore
    sent: list[Sent] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.app = Downloads(self.store, self.sent.append, self.missing.append)

    def ask(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        """A request with exactly this path and query; underscores in header names become hyphens."""
        target, _, query = path.partition("?")
        named = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode("latin-1"),
            "query_string": query.encode(),
            "headers": named,
        }
        messages: list[Any] = []

        async def send(message: Any) -> None:
            messages.append(message)

        async def call() -> None:
            never = asyncio.Event()

            async def receive() -> Any:
                await never.wait()

            await self.app(scope, receive, send)

        asyncio.run(call())
        assert [message.get("more_body") for message in messages[1:]][-1] is False
        body = b"".join(message["body"] for message in messages[1:])
        return httpx.Response(messages[0]["status"], headers=messages[0]["headers"], content=body)


@pytest.fixture
def server(object_store: ObjectStore) -> Server:
    object_store.put_bytes(KEY, b"hello world")
    return Server(object_store)


@pytest.fixture
def local_server(local_store: ObjectStore) -> Server:
    local_store.put_bytes(KEY, b"hello world")
    return Server(local_store)


def test_f18_a_bundle_is_sent_whole_and_counted(server: Server) -> None:
    answer = server.ask(f"{READ}{KEY}?key=x&device_id={DEVICE}")
    assert (answer.status_code, answer.content) == (200, b"hello world")
    etag = answer.headers.pop("etag")
    assert etag.startswith('"')
    assert etag.endswith('"')
    assert dict(answer.headers) == {
        "content-type": "application/zip",
        "content-length": "11",
        "accept-ranges": "bytes",
        "cache-control": "public, max-age=31536000, immutable, no-transform",
        "content-disposition": f'attachment; filename="{KEY}"',
        "content-security-policy": "default-src 'none'; sandbox",
        "x-content-type-options": "nosniff",
    }
    assert server.sent == [Sent("io.acme.notes", DEVICE, has_key=True, nocache=False, sent_bytes=11)]


def test_f19_a_download_is_resumed_and_only_the_rest_counted(server: Server) -> None:
    answer = server.ask(f"{READ}{KEY}?key=x&device_id={DEVICE}", range="bytes=6-")
    assert (answer.status_code, answer.content) == (206, b"world")
    assert answer.headers["content-range"] == "bytes 6-10/11"
    assert answer.headers["content-length"] == "5"
    assert "content-disposition" not in answer.headers
    assert [sent.sent_bytes for sent in server.sent] == [5]


def test_f19_past_the_end_there_is_an_empty_part(server: Server) -> None:
    answer = server.ask(f"{READ}{KEY}?device_id={DEVICE}", range="bytes=11-")
    assert (answer.status_code, answer.content) == (206, b"")
    assert answer.headers["content-range"] == "bytes */11"
    assert answer.headers["content-length"] == "0"
    assert server.sent == []


def test_f20_a_missing_object_is_not_found_and_counted(server: Server) -> None:
    answer = server.ask(f"{READ}{ROOT}/none.zip")
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found", "message": "Not found"})
    assert answer.headers["content-type"] == "application/json"
    assert server.missing == ["io.acme.notes"]


def test_an_existence_check_of_the_command_line_counts_nothing_as_missing(server: Server) -> None:
    whole_key = quote(f"{ROOT}/delta/abc_a.js", safe="")
    assert server.ask(f"{READ}{whole_key}?nocache=1", range="bytes=0-0").status_code == 404
    server.store.put_bytes(f"{ROOT}/delta/abc_a.js", b"x")
    assert server.ask(f"{READ}{whole_key}?nocache=1", range="bytes=0-0").status_code == 206
    assert server.missing == []
    assert server.sent == [Sent("io.acme.notes", None, has_key=False, nocache=True, sent_bytes=1)]


def test_a_head_has_the_headers_of_the_whole_and_counts_nothing(server: Server) -> None:
    whole = server.ask(f"{READ}{KEY}?device_id={DEVICE}")
    server.sent.clear()
    for headers in ({}, {"range": "bytes=6-"}):
        answer = server.ask(f"{READ}{KEY}?device_id={DEVICE}", "HEAD", **headers)
        assert (answer.status_code, answer.content) == (200, b"")
        assert answer.headers == whole.headers
    assert server.ask(f"{READ}{ROOT}/none.zip", "HEAD").status_code == 404
    assert server.sent == []


def test_who_has_the_object_is_not_sent_it_again(server: Server) -> None:
    etag = server.ask(f"{READ}{KEY}").headers["etag"]
    server.sent.clear()
    answer = server.ask(f"{READ}{KEY}?device_id={DEVICE}", if_none_match=etag)
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == etag
    assert "content-length" not in answer.headers
    assert server.sent == []
    assert server.ask(f"{READ}{KEY}", if_none_match='"other"').content == b"hello world"


def test_several_ranges_at_once_get_the_whole_object(server: Server) -> None:
    answer = server.ask(f"{READ}{KEY}", range="bytes=0-1,4-5")
    assert (answer.status_code, answer.content) == (200, b"hello world")


@pytest.mark.parametrize("part", ["", "bytes=1048570-2000000", "bytes=-7"])
def test_large_objects_come_in_pieces(server: Server, part: str) -> None:
    content = noise(2 * WINDOW + 1000)
    server.store.put_bytes(KEY, content)
    answer = server.ask(f"{READ}{KEY}", **({"range": part} if part else {}))
    expected = {"": content, "bytes=1048570-2000000": content[1048570:2000001], "bytes=-7": content[-7:]}[part]
    assert answer.content == expected
    assert answer.headers["content-length"] == str(len(expected))
    assert server.sent[-1].sent_bytes == len(expected)


def test_an_empty_object_is_sent(server: Server) -> None:
    server.store.put_bytes(f"{ROOT}/delta/e", b"")
    answer = server.ask(f"{READ}{ROOT}/delta/e?device_id={DEVICE}")
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert server.sent == []


def test_compressed_files_carry_no_content_encoding(local_server: Server) -> None:
    local_server.store.put_bytes(f"{ROOT}/delta/x_style.css.br", b"compressed")
    answer = local_server.ask(f"{READ}{ROOT}/delta/x_style.css.br", accept_encoding="br")
    assert answer.content == b"compressed"
    assert answer.headers["content-type"] == "text/css"
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("delta/x_a b.js", "delta/x_a%20b.js"),
        ("delta/x_ä.js", "delta/x_%C3%A4.js"),
        ("delta/x_%40a.js", "delta/x_%2540a.js"),
        ("delta/x_%40a.js", "delta/x_%40a.js"),
        ("delta/x_%40a.js", "delta/x_@a.js"),
        ("delta/x_a%20b.js", "delta/x_a%20b.js"),
        ("delta/x_(1)!.js", "delta/x_(1)!.js"),
    ],
)
def test_keys_with_escapes_are_found_however_they_were_encoded(local_server: Server, stored: str, asked: str) -> None:
    local_server.store.put_bytes(f"{ROOT}/{stored}", b"found")
    assert local_server.ask(f"{READ}{ROOT}/{asked}").content == b"found"
    assert local_server.missing == []


def test_the_decoded_key_wins(local_server: Server) -> None:
    local_server.store.put_bytes(f"{ROOT}/@", b"decoded")
    local_server.store.put_bytes(f"{ROOT}/%40", b"as it is")
    assert local_server.ask(f"{READ}{ROOT}/%40").content == b"decoded"


def test_other_readings_of_a_path_stay_in_the_app_that_it_names() -> None:
    inside = [key.key for key in possible_keys(b"orgs/o/apps/a.b/x%2Fy")]
    assert inside == ["orgs/o/apps/a.b/x/y", "orgs/o/apps/a.b/x%2Fy", "orgs/o/apps/a.b/x%252Fy"]
    outside = [key.key for key in possible_keys(b"orgs/o/apps/a%2Eb/x")]
    assert outside == ["orgs/o/apps/a.b/x"]


@pytest.mark.parametrize("path", ["%zz", "a%", "%c3%28", "%ff", "%4"])
def test_a_broken_escape_is_refused(local_server: Server, path: str) -> None:
    answer = local_server.ask(f"{READ}{ROOT}/{path}")
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "invalid_file_path_encoding",
        "message": "Invalid attachment file path encoding",
        "moreInfo": {},
    }


@pytest.mark.parametrize(
    "path",
    [
        f"{READ}",
        f"{READ}{ROOT}",
        f"{READ}{ROOT}/",
        f"{READ}/{KEY}",
        f"{READ}{ROOT}//2.5.0.zip",
        f"{READ}{ROOT}/./2.5.0.zip",
        f"{READ}{ROOT}/../io.acme.notes/2.5.0.zip",
        f"{READ}{ROOT}/%2e%2e/io.acme.notes/2.5.0.zip",
        f"{READ}../../../../etc/passwd",
        f"{READ}%2Fetc%2Fpasswd",
        f"{READ}{KEY}/",
        f"{READ}{KEY}%00",
        f"{READ}{ROOT}\\2.5.0.zip",
        f"{READ}staging",
        "/files/read/other",
    ],
)
def test_no_trick_of_the_path_leads_anywhere(local_server: Server, path: str) -> None:
    answer = local_server.ask(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "not_found", "message": "Not found"})


def test_other_methods_are_not_found(local_server: Server) -> None:
    for method in ("POST", "PUT", "DELETE"):
        assert local_server.ask(f"{READ}{KEY}", method).status_code == 404


def test_a_key_cannot_break_out_of_a_header(local_server: Server) -> None:
    key = f'{ROOT}/"\r\nx: y\\ä%40.js'
    local_server.store.put_bytes(key, b"x")
    answer = local_server.ask(f"{READ}{quote(key)}")
    assert answer.headers["content-disposition"] == f'attachment; filename="{ROOT}/%22%0D%0Ax: y%5C%C3%A4%40.js"'


def test_the_key_parameter_is_never_understood(local_server: Server) -> None:
    local_server.ask(f"{READ}{KEY}?key=a+b/c==%zz&device_id={DEVICE.upper()}")
    local_server.ask(f"{READ}{KEY}?key=")
    local_server.ask(f"{READ}{KEY}?device_id=nobody")
    assert [(sent.device_id, sent.has_key) for sent in local_server.sent] == [
        (DEVICE, True),
        (None, True),
        (None, False),
    ]


def test_an_unreachable_store_is_said_to_be_unavailable(unused_port: Callable[[], int]) -> None:
    options = S3Options(f"http://127.0.0.1:{unused_port()}", "us-east-1", "test", "test", allow_http=True)
    answer = Server(open_objects("s3://bucket", options)).ask(f"{READ}{KEY}")
    assert answer.status_code == 503
    assert answer.json() == {
        "error": "upstream_unavailable",
        "message": "File storage temporarily unavailable",
        "moreInfo": {},
    }


def test_a_client_that_goes_away_is_sent_no_more_and_counted_for_what_it_got(local_server: Server) -> None:
    local_server.store.put_bytes(KEY, noise(8 * WINDOW))
    bodies: list[int] = []

    async def call() -> None:
        gone = asyncio.Event()

        async def receive() -> Any:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                bodies.append(len(message["body"]))
                if len(bodies) == 3:
                    gone.set()
                # The server's flow control, where a slow client makes the sender wait.
                for _ in range(3):
                    await asyncio.sleep(0)

        path = f"{READ}{KEY}"
        scope = {"method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"key=x", "headers": []}
        await local_server.app(scope, receive, send)

    asyncio.run(call())
    assert len(bodies) == 3
    assert [sent.sent_bytes for sent in local_server.sent] == [2 * WINDOW]


def test_it_speaks_with_an_ordinary_client(local_server: Server) -> None:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=local_server.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://updates.example") as client:
            return await client.get(f"{READ}{KEY}", params={"key": "x", "device_id": DEVICE})

    answer = asyncio.run(ask())
    assert (answer.status_code, answer.content) == (200, b"hello world")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("a/1.0.0.zip", "application/zip"),
        ("a/delta/x_index.html.br", "text/html"),
        ("a/delta/x_style.css", "text/css"),
        ("a/delta/x_data.json.gz", "application/octet-stream"),
        ("a/delta/0123abcd", "application/octet-stream"),
        ("a/delta/0123abcd.br", "application/octet-stream"),
    ],
)
def test_the_media_type_follows_the_name(key: str, expected: str) -> None:
    assert content_type(key) == expected
