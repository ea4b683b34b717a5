"""`POST /capstan/bundle/upload`: a zip comes in, and a bundle, perhaps on a channel, is there when the answer comes.

Everything that can be refused without the bytes is refused before they are read. They go to a file, a child process
checks and stores them, one transaction publishes. A client that goes away before that stops all of it and leaves
nothing; a server that dies leaves a file that the next start sweeps, and objects that nothing refers to.

Who asks for `application/x-ndjson` is told how far it is, a JSON object a line; the last line is the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import structlog
from msgspec import Meta, Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from capstan.access.principal import Principal
from capstan.bundles import publishing
from capstan.bundles.api import Bundle, BundleChanges, changes_to_wire, to_wire
from capstan.bundles.publishing import Published, Release
from capstan.channels.service import MAX_NAME_LENGTH
from capstan.db.session import ReadSession, Registry
from capstan.errors import Problem
from capstan.files.archive import ArchiveLimits, too_large
from capstan.files.incoming import Incoming
from capstan.files.ingest import Ingested
from capstan.files.ingest_child import IngestRequest, ingest_in_child
from capstan.files.keys import app_prefix
from capstan.files.objects import ObjectStore, S3Options
from capstan.jobs.progress import Progress, Report
from capstan.web.answers import SECURITY_HEADERS, json_answer, problem_answer, unknown_error
from capstan.web.client import ClientAddresses
from capstan.web.credentials import CredentialResolver
from capstan.web.endpoint import Credentials
from capstan.web.inputs import RawInput, convert, parse_query

log = structlog.get_logger(__name__)

PATH = "/capstan/bundle/upload"
NDJSON = "application/x-ndjson"

_INGESTS_AT_ONCE = 2
_LINES_WAITING = 64

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Storing:
    """How uploads are stored: the objects' place (as `open_objects` takes it), brotli's effort, what a zip may be."""

    objects_url: str
    s3: S3Options
    quality: int
    limits: ArchiveLimits


class UploadParameters(Struct, frozen=True):
    """The query of an upload; see `publishing.Release`. Empty values count as absent."""

    app_id: str | None = None
    version: str | None = None
    channel: Annotated[str, Meta(max_length=MAX_NAME_LENGTH)] | None = None
    checksum: str | None = None
    session_key: str | None = None
    key_id: str | None = None
    min_update_version: str | None = None
    link: str | None = None
    comment: str | None = None


class Uploaded(Struct, frozen=True):
    """The answer. `files` can be fetched one by one; of their objects some were stored now, the others were there."""

    bundle: Bundle
    channel: str | None
    files: int
    objects_stored: int
    objects_reused: int
    changed: BundleChanges


class Refused(Struct, frozen=True):
    """The last line of a stream that ended badly: the error envelope, and the HTTP status it would have had."""

    error: str
    message: str
    more_info: Mapping[str, Any] = msgspec.field(name="moreInfo")
    status: int


@dataclass(frozen=True, slots=True)
class _Upload:
    """An upload that may come in."""

    request: Request
    release: Release
    app_prefix: str


class BundleUpload:
    """The ASGI application behind `PATH`."""

    def __init__(
        self,
        *,
        registry: Registry,
        credentials: CredentialResolver,
        addresses: ClientAddresses,
        objects: ObjectStore,
        incoming: Incoming,
        storing: Storing,
    ) -> None:
        self._registry = registry
        self._credentials = credentials
        self._addresses = addresses
        self._objects = objects
        self._incoming = incoming
        self._storing = storing
        # Each child fills two cores; more of them at once would only make all of them late.
        self._turn = asyncio.Semaphore(_INGESTS_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            upload, path = await self._receive(request)
        except ClientDisconnect:
            log.info("upload broken off")
        except Problem as problem:
            await problem_answer(problem)(scope, receive, send)
        except Exception:
            log.exception("upload failed")
            await problem_answer(unknown_error())(scope, receive, send)
        else:
            try:
                await _while_wanted(receive, self._answer(send, upload, path))
            except ClientDisconnect:
                log.info("upload given up")
            finally:
                self._incoming.discard(path)

    async def _receive(self, request: Request) -> tuple[_Upload, Path]:
        if request.method != "POST":
            raise Problem("not_found", "Not found", status=404)
        upload = await run_in_threadpool(self._admit, request)
        announced = request.headers.get("content-length", "")
        limit = self._storing.limits.max_zip_bytes
        if announced.isdecimal() and int(announced) > limit:
            raise too_large(limit)
        return upload, await self._incoming.receive(uuid.uuid4().hex, request.stream())

    def _admit(self, request: Request) -> _Upload:
        with self._registry.read() as session:
            principal = self._principal(session, request)
            release = _release(request.url.query)
            app = publishing.preflight(session, principal, release)
        return _Upload(request, release, app_prefix(app["owner_org"], app["app_id"]))

    def _principal(self, session: ReadSession, request: Request) -> Principal:
        address = self._addresses.of(request.client.host if request.client else None, request.headers)
        return self._credentials.resolve(session, request.headers, Credentials.KEY, address).principal

    async def _answer(self, send: Send, upload: _Upload, path: Path) -> None:
        request = upload.request
        if NDJSON in request.headers.get("accept", ""):
            await self._answer_in_lines(send, upload, path)
            return
        outcome = await self._outcome(upload, path, _nobody_listens)
        answer = problem_answer(outcome) if isinstance(outcome, Problem) else json_answer(outcome)
        await answer(request.scope, request.receive, send)

    async def _answer_in_lines(self, send: Send, upload: _Upload, path: Path) -> None:
        lines: asyncio.Queue[Struct | None] = asyncio.Queue(_LINES_WAITING)

        def report(progress: Progress) -> None:
            # A client that reads too slowly misses some of them, but never holds up the work.
            with contextlib.suppress(asyncio.QueueFull):
                lines.put_nowait(progress)

        async def work() -> None:
            size = path.stat().st_size
            report(Progress("received", size, size))
            outcome = await self._outcome(upload, path, report)
            await lines.put(_refused(outcome) if isinstance(outcome, Problem) else outcome)
            await lines.put(None)

        async with asyncio.TaskGroup() as group:
            group.create_task(work())
            group.create_task(_send_lines(send, lines))

    async def _outcome(self, upload: _Upload, path: Path, report: Report) -> Uploaded | Problem:
        try:
            stored = await self._store(upload, path, report)
            report(Progress("publishing", 0, 1))
            return await run_in_threadpool(self._publish, upload, stored)
        except Problem as problem:
            return problem
        except Exception:
            log.exception("upload failed", app_id=upload.release.app_id, version=upload.release.version)
            return unknown_error()

    async def _store(self, upload: _Upload, path: Path, report: Report) -> Ingested:
        request = IngestRequest(
            objects_url=self._storing.objects_url,
            s3=self._storing.s3,
            zip_path=str(path),
            app_prefix=upload.app_prefix,
            version=upload.release.version or "",
            encrypted=upload.release.session_key is not None,
            quality=self._storing.quality,
            limits=self._storing.limits,
        )

        def passed_on(progress: Progress) -> None:
            report(Progress(progress.stage.partition(" ")[0], progress.done, progress.total))

        async with self._turn:
            return await ingest_in_child(request, passed_on)

    def _publish(self, upload: _Upload, stored: Ingested) -> Uploaded:
        # Asked again, because a key that was taken away while the bytes came in must not publish them.
        with self._registry.read() as session:
            principal = self._principal(session, upload.request)
        with self._registry.write(principal) as session:
            published = publishing.publish(session, principal, upload.release, stored, self._objects)
        log.info("bundle published", app_id=upload.release.app_id, version=upload.release.version)
        return _uploaded(upload, stored, published)


def _release(query: str) -> Release:
    """What the query says; a parameter that is blank was not given."""
    given = {name: value for name, value in parse_query(query).items() if value.strip()}
    return Release(**msgspec.structs.asdict(convert(RawInput(given, from_query=True), {}, UploadParameters)))


def _uploaded(upload: _Upload, stored: Ingested, published: Published) -> Uploaded:
    return Uploaded(
        bundle=to_wire(published.bundle, published.files),
        channel=upload.release.channel,
        files=len(stored.files),
        objects_stored=stored.objects_stored,
        objects_reused=len(stored.reused),
        changed=changes_to_wire(published.comparison),
    )


def _refused(problem: Problem) -> Refused:
    return Refused(problem.code, problem.message, problem.more, problem.status)


async def _send_lines(send: Send, lines: asyncio.Queue[Struct | None]) -> None:
    headers = {**SECURITY_HEADERS, "content-type": NDJSON, "cache-control": "no-store"}
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": raw})
    while (line := await lines.get()) is not None:
        await send({"type": "http.response.body", "body": msgspec.json.encode(line) + b"\n", "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _while_wanted(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of some work, which is stopped when the client goes away: then raises ClientDisconnect."""
    working = asyncio.create_task(work)
    leaving = asyncio.create_task(_left(receive))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


def _nobody_listens(_progress: Progress) -> None:
    """Where nobody asked how far it is."""
