"""The outermost layer of everything but the device plane: preflights, CORS, request ids (contract: public 5)."""

from __future__ import annotations

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capstan.web.client import is_allowed_origin, request_id

ALLOWED_METHODS = "POST,GET,PUT,PATCH,DELETE,OPTIONS"
ALLOWED_HEADERS = (
    "Content-Type,Authorization,X-Capgo-Spoof-Admin-Authorization,capgkey,capgo_api,x-api-key,x-limited-key-id,"
    "apisecret,apikey,x-client-info"
)


class Edge:
    """Wraps an application. `origins` are the web origins that may read answers, beside the fixed ones."""

    def __init__(self, inner: ASGIApp, origins: frozenset[str], version: str) -> None:
        self._inner = inner
        self._origins = origins
        self._source = f"capstan-{version}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        identity = request_id(headers.get("x-request-id"))
        structlog.contextvars.bind_contextvars(request_id=identity)

        async def send_decorated(message: Message) -> None:
            if message["type"] == "http.response.start":
                out = MutableHeaders(scope=message)
                out["x-request-id"] = identity
                out["x-worker-source"] = self._source
                self._allow_origin(headers, out)
            await send(message)

        try:
            await self._inner(scope, receive, send_decorated)
        finally:
            structlog.contextvars.unbind_contextvars("request_id")

    async def preflight(self, scope: Scope, send: Send) -> None:
        """Answer OPTIONS on any path."""
        start: Message = {"type": "http.response.start", "status": 204, "headers": []}
        out = MutableHeaders(scope=start)
        out["access-control-allow-methods"] = ALLOWED_METHODS
        out["access-control-allow-headers"] = ALLOWED_HEADERS
        self._allow_origin(Headers(scope=scope), out)
        await send(start)
        await send({"type": "http.response.body", "body": b""})

    def _allow_origin(self, headers: Headers, out: MutableHeaders) -> None:
        out.add_vary_header("Origin")
        origin = headers.get("origin")
        if origin is not None and is_allowed_origin(origin, self._origins):
            out["access-control-allow-origin"] = origin
