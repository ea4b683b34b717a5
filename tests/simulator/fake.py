"""A server that gives the answers a test lays out for it, and remembers what it was asked."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

ORIGIN = "http://updates.example"
FILES = "/files/read/attachments/"


@dataclass
class Seen:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class FakeServer:
    """`plan` lays out the next answers of a path; without a plan it answers 200 `{"status":"ok"}`."""

    files: dict[str, bytes] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    """For a path, after how many bytes the connection breaks, once."""
    statuses: dict[str, int] = field(default_factory=dict)
    """For a file, the status in place of 200 or 206."""
    _plans: defaultdict[str, list[Response]] = field(default_factory=lambda: defaultdict(list))

    def plan(self, path: str, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self._plans[path].append(Response(raw, status, headers))

    def put(self, key: str, content: bytes) -> str:
        """Store a file; its URL."""
        self.files[FILES + key] = content
        return f"{ORIGIN}{FILES}{key}?key=1"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=_Transport(self))

    def requests(self, path: str) -> list[Seen]:
        return [seen for seen in self.seen if seen.path == path]

    def events(self) -> list[dict[str, Any]]:
        """All events that came, batches taken apart."""
        bodies = [seen.json for seen in self.requests("/stats")]
        return [event for body in bodies for event in (body if isinstance(body, list) else [body])]

    def actions(self) -> list[tuple[str, str]]:
        return [(event["action"], event["version_name"]) for event in self.events()]

    def fetched(self) -> list[str]:
        """The keys of the files that were asked for, sorted."""
        return sorted(seen.path.removeprefix(FILES) for seen in self.seen if seen.path.startswith(FILES))

    async def answer(self, request: Request) -> Response:
        path = request.url.path
        self.seen.append(
            Seen(request.method, path, dict(request.query_params), dict(request.headers), await request.body())
        )
        if self._plans[path]:
            return self._plans[path].pop(0)
        if path.startswith(FILES):
            return self._file(path, request.headers.get("range"))
        return Response(b'{"status":"ok"}')

    def _file(self, path: str, wanted: str | None) -> Response:
        if path in self.statuses and self.statuses[path] != 206:
            return Response(self.files.get(path, b""), self.statuses[path])
        if path not in self.files:
            return Response(b'{"error":"not_found","message":"Not found"}', 404)
        content = self.files[path]
        found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
        if not found:
            return Response(content, self.statuses.get(path, 200))
        start = int(found[1])
        if start >= len(content):
            return Response(b"", 206, {"content-range": f"bytes */{len(content)}"})
        span = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Response(content[start:], 206, {"content-range": span})


class _Transport(httpx.AsyncBaseTransport):
    def __init__(self, server: FakeServer) -> None:
        app = Starlette(routes=[Route("/{rest:path}", server.answer, methods=["GET", "POST", "PUT", "DELETE"])])
        self._inner = httpx.ASGITransport(app)
        self._server = server

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        after = self._server.cut.pop(request.url.path, None)
        if after is None:
            return response
        body = await response.aread()
        return httpx.Response(response.status_code, headers=response.headers, stream=_Broken(body[:after]))


class _Broken(httpx.AsyncByteStream):
    def __init__(self, part: bytes) -> None:
        self._part = part

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._part
        raise httpx.ReadError("the connection broke")
