"""The control plane as an ASGI application: every declared endpoint, and nothing else.

A request runs on a thread: principal, input, one transaction, answer. The quirks that all routes share live here:
optional trailing slash, the `/functions/v1` prefix, 404 instead of 405, HEAD as GET, OPTIONS everywhere
(contract: public 2.1, 4.3, 5).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from capstan.access.principal import Anonymous
from capstan.db.session import Registry
from capstan.errors import Problem
from capstan.web.answers import json_answer, problem_answer, unknown_error
from capstan.web.client import ClientAddresses
from capstan.web.credentials import CredentialResolver, Identity
from capstan.web.dialect import dialect
from capstan.web.endpoint import Call, Credentials, Dialect, Endpoint, Reader
from capstan.web.inputs import RawInput, body_or_query, convert, parse_query
from capstan.web.origin import Origins

log = structlog.get_logger(__name__)

FUNCTIONS_PREFIX = "/functions/v1"


class RouteTable:
    """Finds the endpoint of a method and path; a path segment `:name` matches anything without a slash."""

    def __init__(self, endpoints: Iterable[Endpoint]) -> None:
        self.endpoints = tuple(endpoints)
        self._fixed: dict[tuple[str, str], Endpoint] = {}
        self._patterned: list[tuple[Endpoint, list[str]]] = []
        for endpoint in self.endpoints:
            if ":" in endpoint.path:
                self._patterned.append((endpoint, endpoint.path.split("/")))
            else:
                self._fixed[endpoint.method, endpoint.path] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]] | None:
        """The endpoint and its path values, or None."""
        method = "GET" if method == "HEAD" else method
        path = path.removeprefix(FUNCTIONS_PREFIX).rstrip("/") or "/"
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed, {}
        segments = path.split("/")
        for endpoint, pattern in self._patterned:
            values = _match(pattern, segments) if endpoint.method == method else None
            if values is not None:
                return endpoint, values
        return None


@dataclass(frozen=True)
class ControlPlane:
    """Serves declared endpoints over one registry."""

    routes: RouteTable
    registry: Registry
    credentials: CredentialResolver
    addresses: ClientAddresses
    origins: Origins
    default_dialect: Dialect
    max_body_bytes: int

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        found = self.routes.find(request.method, request.url.path)
        try:
            if found is None:
                raise Problem("not_found", "Not found", status=404)
            body = await self._body(request)
            answer = await run_in_threadpool(self._answer, request, body, *found)
        except Problem as problem:
            answer = problem_answer(problem)
        if request.method == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    async def _body(self, request: Request) -> bytes:
        chunks, size = [], 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > self.max_body_bytes:
                raise Problem("body_too_large", f"The body is over {self.max_body_bytes} bytes", status=413)
            chunks.append(chunk)
        return b"".join(chunks)

    def _answer(self, request: Request, body: bytes, endpoint: Endpoint, path_values: dict[str, str]) -> Response:
        try:
            return self._perform(request, body, endpoint, path_values)
        except Problem as problem:
            return problem_answer(problem)
        except IntegrityError as error:
            log.info("the registry refused a write", path=endpoint.path, reason=str(error.orig))
            if endpoint.refusal is None:
                return problem_answer(unknown_error())
            more = {"error": "conflict"}
            return problem_answer(
                Problem(endpoint.refusal, "The change was refused", status=endpoint.refusal_status, more=more)
            )
        except Exception:
            log.exception("request failed", method=endpoint.method, path=endpoint.path)
            return problem_answer(unknown_error())

    def _perform(self, request: Request, body: bytes, endpoint: Endpoint, path_values: dict[str, str]) -> Response:
        address = self.addresses.of(request.client.host if request.client else None, request.headers)
        identity = self._identify(endpoint, request.headers, address)
        query = parse_query(request.url.query)
        raw = _read(endpoint, query, body)
        read = raw.without(endpoint.list_parameters) if raw.values.get(endpoint.selector or "") else raw
        values = convert(read, path_values, endpoint.input, snake_case_aliases=endpoint.snake_case_aliases)
        chosen = dialect(
            endpoint=endpoint,
            parameters=raw.values.keys(),
            api_version=request.headers.get("capgo_api"),
            supplied_by=identity.supplied_by,
            default=self.default_dialect,
        )
        open_session = self.registry.write(identity.principal) if endpoint.writes else self.registry.read()
        with open_session as session:
            call = Call(identity.principal, session, chosen, self.origins.of(request.scope), address)
            result = endpoint.handler(call, values)
        return result if isinstance(result, Response) else json_answer(result)

    def _identify(self, endpoint: Endpoint, headers: Mapping[str, str], address: str | None) -> Identity:
        if endpoint.credentials is Credentials.PUBLIC:
            return Identity(Anonymous(), "none")
        with self.registry.read() as session:
            return self.credentials.resolve(session, headers, endpoint.credentials, address)


def _read(endpoint: Endpoint, query: dict[str, str], body: bytes) -> RawInput:
    if endpoint.reader is Reader.PATH:
        return RawInput({}, from_query=True)
    if endpoint.reader is Reader.QUERY or (not endpoint.writes and not body):
        return RawInput(query, from_query=True)
    return body_or_query(reads=not endpoint.writes, query=query, body=body, accepts_empty=endpoint.accepts_empty)


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    values: dict[str, Any] = {}
    for expected, actual in zip(pattern, segments, strict=True):
        if expected.startswith(":"):
            if not actual:
                return None
            values[expected[1:]] = actual
        elif expected != actual:
            return None
    return values
