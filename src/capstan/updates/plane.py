"""The device plane as a raw ASGI application: routes, bodies and headers (contract: device 0.1, 0.3).

A request's way is short on purpose: an update check of a loaded app awaits nothing but its own body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog

from capstan.updates import answers
from capstan.updates.answers import DeviceAnswer, Receive, Scope, Send, send_answer
from capstan.updates.checks import CheckHandler
from capstan.updates.liveness import KO, ok_answer
from capstan.updates.nulls import ESCAPED_NULL, without_nulls
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
        headers = dict(scope["headers"])
        method = scope["method"]
        try:
            answer = await self._answer(_route(scope["path"]) or "", method, scope, headers, receive)
        except Exception:
            log.exception("request failed", path=scope["path"])
            answer = answers.FAILED
        await send_answer(send, answer, self._allowed_origin(headers), head=method == "HEAD")

    async def _answer(
        self, route: str, method: str, scope: Scope, headers: Mapping[bytes, bytes], receive: Receive
    ) -> DeviceAnswer:
        if method == "POST" and route in ("/updates", "/stats"):
            raw = await _body(receive, self._max_body_bytes)
            if raw is None:
                return answers.TOO_LARGE
            if ESCAPED_NULL in raw:
                raw = without_nulls(raw)
            if route == "/stats":
                return await self._stats.answer(raw)
            takes_gzip = b"gzip" in headers.get(b"accept-encoding", b"")
            return await self._checks.answer(
                raw, self._origins.of(scope), self._address(scope, headers), gzip=takes_gzip
            )
        if route == "/ko":
            return KO if method == "POST" else answers.NOT_FOUND
        if method in ("GET", "HEAD") or (method == "POST" and route == "/ok"):
            return ok_answer(headers.get(b"capgo_api")) if route == "/ok" else answers.OK
        return answers.NOT_FOUND

    def _address(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str | None:
        client = scope.get("client")
        return self._addresses.of(client[0] if client else None, _TextHeaders(headers))

    def _allowed_origin(self, headers: Mapping[bytes, bytes]) -> bytes | None:
        origin = headers.get(b"origin")
        if origin is None or not is_allowed_origin(origin.decode("latin-1"), self._cors_origins):
            return None
        return origin


class _TextHeaders(dict[str, str]):
    """Headers looked up by text; made of the few that are asked for, so that the rest costs nothing."""

    def __init__(self, headers: Mapping[bytes, bytes]) -> None:
        super().__init__()
        self._headers = headers

    def get(self, name: str, default: Any = None) -> Any:
        value = self._headers.get(name.encode())
        return default if value is None else value.decode("latin-1")


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
