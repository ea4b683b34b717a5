"""The device plane as a raw ASGI application: routes, bodies and headers (contract: device 0.1, 0.3).

A request's way is short on purpose: an update check of a loaded app awaits nothing but its own body.
"""

from __future__ import annotations

import structlog

from capstan.updates import answers
from capstan.updates.answers import DeviceAnswer, Receive, Scope, Send, send_answer
from capstan.updates.checks import CheckHandler
from capstan.updates.liveness import KO, ok_answer
from capstan.updates.nulls import ESCAPED_NULL, without_nulls
from capstan.updates.request import DeviceRequest
from capstan.updates.stats import StatsHandler
from capstan.web.client import ClientAddresses, is_allowed_origin
from capstan.web.origin import Origins

log = structlog.get_logger(__name__)

ROUTES = frozenset({"/updates", "/stats", "/ok", "/ko"})
_ALIAS = "/plugin"


class DevicePlane:
    """Serves the routes of `serves`; everything else is not asked of it."""

    def __init__(
        self,
        checks: CheckHandler,
        stats: StatsHandler,
        addresses: ClientAddresses,
        origins: Origins,
        *,
        cors_origins: frozenset[str],
        max_body_bytes: int,
    ) -> None:
        self._checks = checks
        self._stats = stats
        self._addresses = addresses
        self._origins = origins
        self._cors_origins = cors_origins
        self._max_body_bytes = max_body_bytes

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path is the device plane's; a trailing slash and the old `/plugin` prefix are accepted."""
        return _route(path) is not None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = DeviceRequest(scope, self._addresses, self._origins)
        method = scope["method"]
        try:
            answer = await self._answer(_route(scope["path"]) or "", method, request, receive)
        except Exception:
            log.exception("request failed", path=scope["path"])
            answer = answers.FAILED
        await send_answer(send, answer, self._allowed_origin(request), head=method == "HEAD")

    async def _answer(self, route: str, method: str, request: DeviceRequest, receive: Receive) -> DeviceAnswer:
        if method == "POST" and route in ("/updates", "/stats"):
            raw = await _body(receive, self._max_body_bytes)
            if raw is None:
                return answers.TOO_LARGE
            if ESCAPED_NULL in raw:
                raw = without_nulls(raw)
            if route == "/stats":
                return await self._stats.answer(raw)
            answer = self._checks.answer_now(raw, request)
            if isinstance(answer, DeviceAnswer):
                return answer
            return await self._checks.answer(answer, raw, request)
        if route == "/ko":
            return KO if method == "POST" else answers.NOT_FOUND
        if method in ("GET", "HEAD") or (method == "POST" and route == "/ok"):
            return ok_answer(request.header(b"capgo_api")) if route == "/ok" else answers.OK
        return answers.NOT_FOUND

    def _allowed_origin(self, request: DeviceRequest) -> bytes | None:
        origin = request.header(b"origin")
        if origin is None or not is_allowed_origin(origin.decode("latin-1"), self._cors_origins):
            return None
        return origin


def _route(path: str) -> str | None:
    if path in ROUTES:
        return path
    path = path.rstrip("/").removeprefix(_ALIAS)
    return path if path in ROUTES else None


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The whole body, None if it is longer than `limit` bytes."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= limit else None
    chunks, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            return None
    return b"".join(chunks)
