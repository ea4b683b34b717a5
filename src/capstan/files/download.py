"""`GET|HEAD /files/read/attachments/<key>`: bundles and delta files for devices (contract: device 4.4).

Public, and reads no database: a registry that is down stops no download. Nothing on the way may transform the bytes,
so they carry no content-encoding, `.br` files included. An object never changes under its key, so everybody may keep
it for ever. Only what was really handed to the network is counted.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

import msgspec
from starlette.types import Receive, Scope, Send

from capstan.errors import Problem
from capstan.files.conditions import CONDITIONAL, Selection, select
from capstan.files.keys import AppKey, parse_key
from capstan.files.objects import ObjectMissing, ObjectStore, OpenObject

CACHE_CONTROL = "public, max-age=31536000, immutable, no-transform"

RETRY_SECONDS = 30
"""When to come back if the object store does not answer, as every 503 that a device gets tells (device 7.4)."""

_ROUTE = b"/read/attachments/"
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DEVICE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# Bundles come from anybody who may upload. Opened in a browser they must not become pages of this origin.
_HARMLESS = [("content-security-policy", "default-src 'none'; sandbox"), ("x-content-type-options", "nosniff")]
# The table of the standard library alone: a machine's own one would make answers differ between nodes.
_TYPES = mimetypes.MimeTypes()


@dataclass(frozen=True, slots=True)
class Sent:
    """A GET that has sent `sent_bytes` (more than 0) of an object, for bandwidth (contract: device 1.11, 4.4, 5.3).

    `device_id` is None if the query has none of the right shape; `has_key` and `nocache` tell whether the query has
    these parameters, which is all that is ever looked at.
    """

    app_id: str
    device_id: str | None
    has_key: bool
    nocache: bool
    sent_bytes: int


class Downloads:
    """The raw ASGI endpoint, for all paths that contain `/read/attachments/`.

    `on_sent` is called after each GET that sent something, whole or not; `on_missing` with the app id for each key
    that has no object, except when a command line only asks whether it has. Both must be quick.
    """

    def __init__(self, store: ObjectStore, on_sent: Callable[[Sent], None], on_missing: Callable[[str], None]) -> None:
        self._store = store
        self._on_sent = on_sent
        self._on_missing = on_missing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        query = _query(scope["query_string"])
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        if method == "HEAD":
            # A HEAD has no ranges (RFC 9110, 14.2).
            headers.pop("range", None)
        try:
            keys = possible_keys(scope["raw_path"].partition(_ROUTE)[2]) if method in ("GET", "HEAD") else []
            whole = method == "GET" and headers.keys().isdisjoint(CONDITIONAL)
            key, found = await self._find(keys, whole=whole, count="nocache" not in query)
        except Problem as problem:
            await _refuse(send, problem, with_body=method != "HEAD")
            return
        selection = select(headers, found.info.size, _etag(found))
        await _start(send, selection.status, _headers(key.key, found, selection))
        if method == "HEAD" or selection.start == selection.stop:
            await _end(send)
            return
        sent = _Counter()
        try:
            await _send_body(found, selection, sent, receive, send)
        except Problem:
            # Too late to say so: an answer without its end is broken off, and the client asks for the rest.
            return
        finally:
            if sent.total:
                self._on_sent(_sent(key, query, sent.total))

    async def _find(self, keys: Sequence[AppKey], *, whole: bool, count: bool) -> tuple[AppKey, OpenObject]:
        for key in keys:
            try:
                return key, await (self._store.open(key.key) if whole else self._store.look(key.key))
            except ObjectMissing:
                continue
        if keys and count:
            self._on_missing(keys[0].app_id)
        raise Problem("not_found", "Not found", status=404)


def possible_keys(raw: bytes) -> list[AppKey]:
    """The keys that a raw path may mean, to be tried in order: decoded, as it is, and encoded once more.

    Keys may hold literal percent escapes, and clients and proxies disagree on when to decode, so the contract
    (device 4.4) tries all three; the last two only within the app that the first one names. Empty if the path is no
    key. Raises `invalid_file_path_encoding` for a broken escape.
    """
    try:
        path = raw.decode()
        if _BROKEN_ESCAPE.search(path):
            raise ValueError("broken escape")
        decoded = unquote_to_bytes(path).decode()
    except ValueError:
        raise Problem("invalid_file_path_encoding", "Invalid attachment file path encoding") from None
    first = parse_key(decoded)
    if first is None:
        return []
    # What JavaScript's encodeURIComponent leaves alone, for that is what made the stored keys.
    encoded = "/".join(quote(segment, safe="!*'()-._~") for segment in path.split("/"))
    others = [parse_key(text) for text in dict.fromkeys((path, encoded)) if text != decoded]
    return [first, *(other for other in others if other is not None and other.same_app(first))]


def content_type(key: str) -> str:
    """The media type by the name that is left without `.br`; what says nothing, or is packed, is a stream of bytes."""
    if key.endswith(".zip"):
        return "application/zip"
    kind, packing = _TYPES.guess_type(key.removesuffix(".br"))
    return "application/octet-stream" if kind is None or packing is not None else kind


def _headers(key: str, found: OpenObject, selection: Selection) -> list[tuple[str, str]]:
    headers = [("cache-control", CACHE_CONTROL), *_HARMLESS]
    etag = _etag(found)
    if etag is not None:
        headers.append(("etag", etag))
    if selection.status == 304:
        return headers
    headers.append(("content-type", content_type(key)))
    headers.append(("content-length", str(selection.stop - selection.start)))
    headers.append(("accept-ranges", "bytes"))
    if selection.status == 206:
        headers.append(("content-range", selection.content_range(found.info.size)))
    else:
        headers.append(("content-disposition", f'attachment; filename="{_in_quotes(key)}"'))
    return headers


def _etag(found: OpenObject) -> str | None:
    tag = found.info.etag
    return tag if tag is None or tag.endswith('"') else f'"{tag}"'


def _in_quotes(key: str) -> str:
    """A key as it is, except for what cannot stand in a quoted header value."""
    return quote(key, safe="".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '"\\'))


def _query(text: bytes) -> dict[str, str]:
    """The first value of each parameter, as it is: a `key` may hold any text, unescaped (contract: device 7.7)."""
    parts = [part.partition("=") for part in text.decode("latin-1").split("&")]
    return {name: value for name, _, value in reversed(parts)}


def _sent(key: AppKey, query: Mapping[str, str], sent_bytes: int) -> Sent:
    device_id = query.get("device_id", "").lower()
    return Sent(
        app_id=key.app_id,
        device_id=device_id if _DEVICE_ID.fullmatch(device_id) else None,
        has_key="key" in query,
        nocache="nocache" in query,
        sent_bytes=sent_bytes,
    )


@dataclass(slots=True)
class _Counter:
    total: int = 0


async def _send_body(found: OpenObject, selection: Selection, sent: _Counter, receive: Receive, send: Send) -> None:
    length = selection.stop - selection.start
    # Servers swallow what is sent to a client that has gone, so without asking we would read on for nobody.
    gone = asyncio.create_task(_disconnected(receive))
    try:
        async with aclosing(found.chunks(selection.start, selection.stop)) as chunks:
            async for chunk in chunks:
                more = sent.total + len(chunk) < length
                await send({"type": "http.response.body", "body": chunk, "more_body": more})
                if gone.done():
                    return
                sent.total += len(chunk)
    finally:
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refuse(send: Send, problem: Problem, *, with_body: bool) -> None:
    """An error in the shape that devices know (contract: device 0.2); a plain 404 has no `moreInfo`."""
    envelope: dict[str, object] = {"error": problem.code, "message": problem.message}
    if problem.status != 404:
        envelope["moreInfo"] = problem.more
    body = msgspec.json.encode(envelope)
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    if problem.status == 503:
        headers.append(("retry-after", str(RETRY_SECONDS)))
    await _start(send, problem.status, headers)
    await _end(send, body if with_body else b"")


async def _start(send: Send, status: int, headers: Iterable[tuple[str, str]]) -> None:
    encoded = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def _end(send: Send, body: bytes = b"") -> None:
    await send({"type": "http.response.body", "body": body, "more_body": False})
