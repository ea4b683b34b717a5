"""Resumable uploads: TUS 1.0.0 below `/files/upload/attachments` (contract: device 4.3).

Every request is judged before a byte of its body is read. What it may do is in `admission`, what it says in
`requests`, what becomes of the bytes in `reception`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from capstan.db.session import Registry
from capstan.errors import Problem
from capstan.files.keys import AppKey
from capstan.files.objects import ObjectStore
from capstan.uploads import requests
from capstan.uploads.admission import admit
from capstan.uploads.answers import (
    CORS,
    Answer,
    capabilities,
    expires,
    refusal,
    send_answer,
    text,
    tus_answer,
)
from capstan.uploads.reception import Reception
from capstan.uploads.service import UploadBusy, UploadRefused
from capstan.uploads.workshop import Workshop
from capstan.web.client import ClientAddresses
from capstan.web.credentials import CredentialResolver
from capstan.web.endpoint import Credentials
from capstan.web.origin import Origins

log = structlog.get_logger(__name__)

_ROUTE = b"/upload/attachments"


class ResumableUploads:
    """The raw ASGI endpoint, for all paths whose part from `/upload/attachments` on is a key or nothing.

    `downloads` is what answers reads. `max_length` is the size of the largest upload in bytes.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        objects: ObjectStore,
        downloads: ASGIApp,
        credentials: CredentialResolver,
        addresses: ClientAddresses,
        origins: Origins,
        max_length: int,
    ) -> None:
        self._registry = registry
        self._objects = objects
        self._downloads = downloads
        self._credentials = credentials
        self._addresses = addresses
        self._origins = origins
        self._workshop = Workshop(registry, objects, max_length)
        self._reception = Reception(self._workshop)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            answer = await self._answer(request, send)
        except ClientDisconnect:
            return
        except UploadRefused as refused:
            answer = text(refused.status, refused.text)
        except Problem as problem:
            answer = refusal(problem)
        except SQLAlchemyError as error:
            log.warning("an upload met a registry that does not answer", fault=str(error).partition("\n")[0])
            answer = refusal(UploadBusy())
        except Exception:
            log.exception("upload failed", path=scope["path"])
            answer = refusal(Problem("unknown_error", "Unknown error", status=500))
        if answer is not None:
            await send_answer(send, answer, head=scope["method"] == "HEAD")

    async def _answer(self, request: Request, send: Send) -> Answer | None:
        """None if the answer was sent already."""
        raw_key = request.scope["raw_path"].partition(_ROUTE)[2].removeprefix(b"/")
        method = request.method
        if method == "OPTIONS":
            return capabilities(self._workshop.max_length)
        if method == "POST" and not raw_key:
            return await self._create(request)
        if not raw_key or method not in ("GET", "HEAD", "PATCH"):
            raise Problem("not_found", "Not found", status=404)
        key = await self._admitted(request, lambda: requests.key_of_path(raw_key))
        if method == "PATCH":
            return await self._append(request, key)
        if method == "HEAD" and "tus-resumable" in request.headers:
            return await self._tell(key)
        await self._read(request, key, send)
        return None

    async def _create(self, request: Request) -> Answer:
        metadata = request.headers.get("upload-metadata", "")
        key = await self._admitted(request, lambda: requests.key_of_metadata(metadata))
        held = await self._workshop.begin(key, _creation(request.headers), uuid.uuid4().hex)
        offset = 0
        if requests.has_body(request.headers) or held.length == 0:
            offset = await self._reception.take(held, request.stream(), _announced(request))
        location = f"{self._origins.of(request.scope)}{request.url.path.rstrip('/')}/{requests.key_in_path(key.key)}"
        return tus_answer(201, {"location": location, "upload-offset": str(offset), **expires(held.expires_at)})

    async def _append(self, request: Request, key: AppKey) -> Answer:
        held = await self._workshop.claim(
            key,
            uuid.uuid4().hex,
            offset=requests.number(request.headers.get("upload-offset")),
            length=_told_length(request.headers),
            has_body=requests.has_body(request.headers),
        )
        offset = await self._reception.take(held, request.stream(), _announced(request))
        return tus_answer(204, {"upload-offset": str(offset), **expires(held.expires_at)})

    async def _tell(self, key: AppKey) -> Answer:
        row = await self._workshop.current(key)
        if row is None:
            size = str((await self._objects.look(key.key)).info.size)
            return tus_answer(200, {"upload-offset": size, "upload-length": size, "cache-control": "no-store"})
        length = {"upload-defer-length": "1"} if row["length"] is None else {"upload-length": str(row["length"])}
        return tus_answer(
            200,
            {
                "upload-offset": str(row["received"]),
                **length,
                **expires(row["expires_at"]),
                "upload-metadata": row["metadata"],
                "cache-control": "no-store",
            },
        )

    async def _read(self, request: Request, key: AppKey, send: Send) -> None:
        """Hand a read on to the downloads, as one that counts nowhere."""
        path = f"/files/read/attachments/{requests.key_in_path(key.key)}"
        scope = {**request.scope, "raw_path": path.encode(), "query_string": b"nocache"}

        async def send_with_cors(message: Message) -> None:
            if message["type"] == "http.response.start":
                shared = [(name.encode(), value.encode()) for name, value in CORS.items()]
                message = {**message, "headers": [*message["headers"], *shared]}
            await send(message)

        await self._downloads(scope, request.receive, send_with_cors)

    async def _admitted(self, request: Request, read_key: Callable[[], str]) -> AppKey:
        try:
            return await self._workshop.ask(self._admit, request, read_key)
        except SQLAlchemyError as error:
            log.warning("an upload met a registry that does not answer", fault=str(error).partition("\n")[0])
            raise Problem("upstream_unavailable", "The registry does not answer", status=503) from None

    def _admit(self, request: Request, read_key: Callable[[], str]) -> AppKey:
        address = self._addresses.of(request.client.host if request.client else None, request.headers)
        with self._registry.read() as session:
            identity = self._credentials.resolve(session, request.headers, Credentials.KEY, address)
            key = requests.checked_key(read_key())
            admit(session, identity.principal, key)
            return key


def _creation(headers: Headers) -> requests.Creation | Problem:
    """What a POST asks for, or why it may not; the latter is not the first thing that is told."""
    try:
        return requests.creation(headers)
    except Problem as problem:
        return problem


def _told_length(headers: Headers) -> int | None:
    """The `Upload-Length` of a PATCH; one that is no number differs from every length."""
    told = headers.get("upload-length")
    if told is None:
        return None
    length = requests.number(told)
    if length is None:
        raise UploadRefused(400, "upload length cannot change")
    return length


def _announced(request: Request) -> int:
    return requests.number(request.headers.get("content-length")) or 0
