"""The device plane as a raw ASGI application: routes, bodies and headers (contract: device 0.1, 0.3).

A request's way is short on purpose: an update check of a loaded app awaits nothing but its own body.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from capstan.updates import answers
from capstan.updates.answers import DeviceAnswer, Receive, Scope, Send, send_answer
from capstan.updates.channel_self.call import OPERATIONS
from capstan.updates.channel_self.handler import ChannelSelfHandler
from capstan.updates.checks import CheckHandler
from capstan.updates.liveness import KO, RegistryProbe, ok_answer
from capstan.updates.manifest_size import ManifestSizeHandler
from capstan.updates.nulls import ESCAPED_NULL, without_nulls
from capstan.updates.request import DeviceRequest
from capstan.updates.stats import StatsHandler
from capstan.web.client import ClientAddresses, is_allowed_origin
from capstan.web.origin import Origins

log = structlog.get_logger(__name__)

ROUTES = frozenset({"/updates", "/updates/manifest_size", "/stats", "/channel_self", "/ok", "/ko", "/latency"})
_ALIASES = {f"/plugin{route}": route for route in ("/updates", "/stats", "/channel_self", "/ok")}
_POSTED = frozenset({"/updates", "/updates/manifest_size", "/stats"})


@dataclass(frozen=True, slots=True)
class Handlers:
    """Who answers which route."""

    checks: CheckHandler
    stats: StatsHandler
    channel_self: ChannelSelfHandler
    manifest_sizes: ManifestSizeHandler
    probe: RegistryProbe


class DevicePlane:
    """Serves the routes of `serves`; everything else is not asked of it."""

    def __init__(
        self,
        handlers: Handlers,
        addresses: ClientAddresses,
        origins: Origins,
        *,
        cors_origins: frozenset[str],
        max_body_bytes: int,
    ) -> None:
        self._handlers = handlers
        self._checks = handlers.checks
        self._addresses = addresses
        self._origins = origins
        self._cors_origins = cors_origins
        self._max_body_bytes = max_body_bytes

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path is the device plane's; a trailing slash and old names below `/plugin` are accepted."""
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
        if method == "POST" and route in _POSTED:
            raw = await _body(receive, self._max_body_bytes)
            if raw is None:
                return answers.TOO_LARGE
            if route == "/stats":
                return await self._handlers.stats.answer(raw)
            if route == "/updates/manifest_size":
                return await self._handlers.manifest_sizes.answer(raw)
            answer = self._checks.answer_now(raw, request)
            if isinstance(answer, DeviceAnswer):
                return answer
            return await self._checks.answer(answer, raw, request)
        if route == "/channel_self":
            return await self._channel_call(method, request, receive)
        return await self._alive(route, method, request)

    async def _channel_call(self, method: str, request: DeviceRequest, receive: Receive) -> DeviceAnswer:
        operation = OPERATIONS.get(method)
        if operation is None:
            return answers.NOT_FOUND
        raw = await _body(receive, self._max_body_bytes)
        return answers.TOO_LARGE if raw is None else await self._handlers.channel_self.answer(operation, raw, request)

    async def _alive(self, route: str, method: str, request: DeviceRequest) -> DeviceAnswer:
        if route == "/ko":
            return KO if method == "POST" else answers.NOT_FOUND
        if route == "/ok" and method in ("GET", "HEAD", "POST"):
            return ok_answer(request.header(b"capgo_api"))
        if method not in ("GET", "HEAD") or route == "/updates/manifest_size":
            return answers.NOT_FOUND
        return await self._handlers.probe.answer() if route == "/latency" else answers.OK

    def _allowed_origin(self, request: DeviceRequest) -> bytes | None:
        origin = request.header(b"origin")
        if origin is None or not is_allowed_origin(origin.decode("latin-1"), self._cors_origins):
            return None
        return origin


def _route(path: str) -> str | None:
    if path in ROUTES:
        return path
    path = path.rstrip("/")
    return path if path in ROUTES else _ALIASES.get(path)


async def _body(receive: Receive, limit: int) -> bytes | None:
    """The whole body without NUL in its texts, None if it is longer than `limit` bytes."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body", False):
        chunks, size = [body], len(body)
        while message.get("more_body", False):
            message = await receive()
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                return None
        body = b"".join(chunks)
    if len(body) > limit:
        return None
    return without_nulls(body) if ESCAPED_NULL in body else body
