"""`POST /capstan/explain`: which answer a device would get, and why in words. This server's own; nothing is recorded.

The body is an update check. Whoever asks needs `app.read_devices` on the app. It runs on the event loop like the check
itself, because that is where the snapshots are; only the right to ask is looked up on a thread.
"""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from capstan.access.permissions import Permission
from capstan.apps import service as apps
from capstan.db.session import Registry
from capstan.errors import Problem
from capstan.updates.answers import NOT_SERVED
from capstan.updates.checks import CheckHandler
from capstan.updates.decision import Decision
from capstan.updates.directory import Directory, RegistryUnavailableError
from capstan.updates.gate import is_served
from capstan.updates.manifest_body import manifest_body
from capstan.updates.reply import reply_body, wants_manifest
from capstan.web.answers import json_answer, problem_answer
from capstan.web.client import ClientAddresses
from capstan.web.credentials import CredentialResolver
from capstan.web.endpoint import Credentials
from capstan.web.inputs import invalid_body
from capstan.web.origin import Origins

EXPLAIN_PATH = "/capstan/explain"


class ExplainedStep(Struct, frozen=True):
    """One rule that was asked, in words. The one that did not pass ended the check; so did `update`, by passing."""

    rule: str
    passed: bool
    words: str


class Explained(Struct, frozen=True):
    """The HTTP status and JSON body that the device would get, and the rules up to the one that decided.

    `rule`, `channel` and `bundle` are null where the check ended before there was any.
    """

    status: int
    answer: msgspec.Raw
    rule: str | None = None
    channel: str | None = None
    bundle: str | None = None
    trace: tuple[ExplainedStep, ...] = ()


class _Asked(Struct, frozen=True):
    """What of the body decides who may ask."""

    app_id: str | None = None


class ExplainHandler:
    """The raw ASGI endpoint."""

    def __init__(
        self,
        checks: CheckHandler,
        directory: Directory,
        registry: Registry,
        credentials: CredentialResolver,
        addresses: ClientAddresses,
        origins: Origins,
        *,
        max_body_bytes: int,
    ) -> None:
        self._checks = checks
        self._directory = directory
        self._registry = registry
        self._credentials = credentials
        self._addresses = addresses
        self._origins = origins
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            if request.method != "POST":
                raise Problem("not_found", "Not found", status=404)
            raw = await self._body(request)
            await run_in_threadpool(self._check_right, request, raw)
            answer = json_answer(await self._explain(raw, self._origins.of(scope)))
        except Problem as problem:
            answer = problem_answer(problem)
        await answer(scope, receive, send)

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self._max_body_bytes:
                raise Problem("body_too_large", f"The body is over {self._max_body_bytes} bytes", status=413)
        return bytes(body)

    def _check_right(self, request: Request, raw: bytes) -> None:
        """Raise Problem unless the caller may read the devices of the app that is asked about."""
        address = self._addresses.of(request.client.host if request.client else None, request.headers)
        with self._registry.read() as session:
            identity = self._credentials.resolve(session, request.headers, Credentials.KEY, address)
            app_id = apps.checked_app_id(_app_id(raw))
            if apps.permitted(session, identity.principal, Permission.APP_READ_DEVICES, app_id) is None:
                raise Problem("cannot_access_app", "You can't access this app", more={"app_id": app_id})

    async def _explain(self, raw: bytes, origin: str) -> Explained:
        try:
            decision = await self._checks.explain(raw)
            if not isinstance(decision, Decision):
                return Explained(decision.status, msgspec.Raw(decision.body))
            if not is_served(decision.snapshot, datetime.now(UTC).date()):
                words = "The organization's plan does not allow updates."
                return Explained(
                    NOT_SERVED.status, msgspec.Raw(NOT_SERVED.body), trace=(ExplainedStep("plan", False, words),)
                )
            return _explained(decision, await self._reply(decision, origin))
        except RegistryUnavailableError:
            raise Problem("service_unavailable", "The service is temporarily unavailable", status=503) from None

    async def _reply(self, decision: Decision, origin: str) -> bytes:
        if not wants_manifest(decision) or decision.bundle is None:
            return reply_body(decision, origin)
        rows = await self._directory.manifest(decision.bundle.id)
        body = await run_in_threadpool(manifest_body, decision, origin, rows)
        return body.plain(decision.check.device_id)


def _explained(decision: Decision, body: bytes) -> Explained:
    return Explained(
        status=200,
        answer=msgspec.Raw(body),
        rule=decision.rule,
        channel=decision.channel.name if decision.channel is not None else None,
        bundle=decision.bundle.name if decision.bundle is not None else None,
        trace=tuple(
            ExplainedStep(step.rule, not step.fired or decision.is_update, step.words) for step in decision.trace
        ),
    )


def _app_id(raw: bytes) -> str | None:
    try:
        return msgspec.json.decode(raw, type=_Asked).app_id
    except msgspec.ValidationError as error:
        raise invalid_body(str(error)) from None
    except (ValueError, RecursionError):
        raise Problem("invalid_json_parse_body", "Invalid JSON body", more={"e": {}}) from None
