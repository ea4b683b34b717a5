"""`PUT /files/upload/signed/<token>`: one zip by a signed link, without any other credential (contract: device 4.5).

The link is used up once the whole body is here and before it is stored: a connection that breaks costs nothing, and of
two requests with one link only one stores something.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry
from capstan.errors import Problem
from capstan.files.archive import too_large
from capstan.files.incoming import Incoming
from capstan.files.objects import ObjectStore
from capstan.uploads import unfinished
from capstan.uploads.answers import Answer, refusal, send_answer
from capstan.uploads.links import PATH, Link, UploadLinks
from capstan.uploads.requests import number
from capstan.uploads.service import UploadBusy

log = structlog.get_logger(__name__)

_ACTOR = SystemPrincipal("upload link")


class SignedUploads:
    """The raw ASGI endpoint, for all paths that begin with `links.PATH`. Bodies wait in `incoming`."""

    def __init__(
        self, registry: Registry, objects: ObjectStore, links: UploadLinks, incoming: Incoming, max_length: int
    ) -> None:
        self._registry = registry
        self._objects = objects
        self._links = links
        self._incoming = incoming
        self._max_length = max_length

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(Request(scope, receive))
        except ClientDisconnect:
            return
        except Problem as problem:
            answer = refusal(problem)
        except SQLAlchemyError as error:
            log.warning("an upload met a registry that does not answer", fault=str(error).partition("\n")[0])
            answer = refusal(UploadBusy())
        except Exception:
            log.exception("upload failed", path=PATH)
            answer = refusal(Problem("unknown_error", "Unknown error", status=500))
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    async def _answer(self, request: Request) -> Answer:
        if request.method != "PUT":
            raise Problem("not_found", "Not found", status=404)
        link = self._links.read(request.url.path.removeprefix(PATH), datetime.now(UTC))
        if link is None:
            raise unfinished.invalid_link()
        if (number(request.headers.get("content-length")) or 0) > self._max_length:
            raise too_large(self._max_length)
        await run_in_threadpool(self._check, link)
        path = await self._incoming.receive(uuid.uuid4().hex, request.stream())
        try:
            await run_in_threadpool(self._store, link, path)
        finally:
            self._incoming.discard(path)
        return Answer(200)

    def _check(self, link: Link) -> None:
        with self._registry.read() as session:
            unfinished.check_link(session, link)

    def _store(self, link: Link, path: Path) -> None:
        with self._registry.write(_ACTOR) as session:
            unfinished.use_link(session, link)
        try:
            self._objects.put_file(link.key, path)
            with self._registry.write(_ACTOR) as session:
                unfinished.account_for(session, link, path.stat().st_size)
        except BaseException:
            with self._registry.write(_ACTOR) as session:
                unfinished.free_link(session, link)
            raise
