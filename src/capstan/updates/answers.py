"""HTTP answers of the device plane, and the headers that its clients need (contract: device 0.2, 0.3, 7.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from capstan.updates.body import Refusal
from capstan.updates.reply import ON_PREMISE_APP

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Header = tuple[bytes, bytes]

RETRY_SECONDS = 30
"""Told with every 429 of the device plane: without a hint, clients ask again each second (contract: device 7.4)."""

_JSON: Header = (b"content-type", b"application/json")
_VARY: Header = (b"vary", b"Origin")
_RETRY: tuple[Header, ...] = ((b"retry-after", str(RETRY_SECONDS).encode()),)
_GZIP: Header = (b"content-encoding", b"gzip")


class DeviceAnswer(NamedTuple):
    """One answer. `gzipped` says that the body is compressed already; `retry` are the headers of a 429 or 503."""

    status: int
    body: bytes
    gzipped: bool = False
    retry: tuple[Header, ...] = _RETRY


OK = DeviceAnswer(200, b'{"status":"ok"}')
NOT_FOUND = DeviceAnswer(404, b'{"error":"not_found","message":"Not found"}')
NOT_SERVED = DeviceAnswer(429, ON_PREMISE_APP)
UNAVAILABLE = DeviceAnswer(
    503, b'{"error":"service_unavailable","message":"The service is temporarily unavailable","moreInfo":{}}'
)
BUSY = DeviceAnswer(
    429,
    b'{"error":"too_many_requests","message":"Too many requests","moreInfo":{"retryAfterSeconds":30}}',
)
TOO_LARGE = DeviceAnswer(413, b'{"error":"body_too_large","message":"The body is too large","moreInfo":{}}')
FAILED = DeviceAnswer(500, b'{"error":"unknown_error","message":"Unknown error","moreInfo":{}}')


def refused(refusal: Refusal) -> DeviceAnswer:
    return DeviceAnswer(refusal.status, refusal.body())


async def send_answer(send: Send, answer: DeviceAnswer, allowed_origin: bytes | None, *, head: bool = False) -> None:
    """Send an answer; `allowed_origin` is echoed to a browser page that may read it."""
    headers = [_JSON, (b"content-length", b"%d" % len(answer.body)), _VARY]
    if answer.gzipped:
        headers.append(_GZIP)
    if answer.status == 429 or answer.status == 503:
        headers.extend(answer.retry)
    if allowed_origin is not None:
        headers.append((b"access-control-allow-origin", allowed_origin))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
