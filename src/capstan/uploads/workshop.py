"""The state of uploads for requests that run on the event loop: transactions and objects, on a few threads.

A client that uploads hundreds of files at once must not take all threads from everybody else, so uploads take turns.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import ParamSpec, TypeVar

from sqlalchemy import RowMapping
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry
from capstan.errors import Problem
from capstan.files.keys import AppKey
from capstan.files.objects import ObjectMissing, ObjectStore, StoreUnavailable
from capstan.uploads import service
from capstan.uploads.content import ContentCheck
from capstan.uploads.grouped import GroupedWrites, Rule
from capstan.uploads.requests import Creation
from capstan.uploads.service import Claim, Part, UploadBusy

_STORING = 12
_ASKING = 4
_RENEW_SECONDS = service.HOLD.total_seconds() / 4
_WAIT_SECONDS = 2.0
_ASK_SECONDS = 0.1

P = ParamSpec("P")
T = TypeVar("T")


class Workshop:
    """Used on one event loop. `max_length` is the size of the largest upload in bytes."""

    def __init__(self, registry: Registry, objects: ObjectStore, max_length: int) -> None:
        self.max_length = max_length
        self._registry = registry
        self._objects = objects
        self._storing = asyncio.Semaphore(_STORING)
        self._asking = asyncio.Semaphore(_ASKING)
        self._writes = GroupedWrites(registry, SystemPrincipal("resumable upload"))

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Ask the registry something, when it is its turn."""
        async with self._asking:
            return await run_in_threadpool(question, *args, **kwargs)

    async def current(self, key: AppKey) -> RowMapping | None:
        """The unfinished upload of a key. If a request works on it, wait a little for how far that comes."""
        row, held = await self.ask(self._current, key)
        for _ in _patience():
            if not held:
                break
            await asyncio.sleep(_ASK_SECONDS)
            row, held = await self.ask(self._current, key)
        return row

    async def begin(self, key: AppKey, wanted: Creation | Problem, owner: str) -> Claim:
        """As `service.begin`. Raises `duplicate_upload` once the older upload is gone."""
        begun = await self._when_free(lambda session: service.begin(session, key, wanted, owner))
        await self._remove(begun.left)
        if begun.claim is None:
            raise Problem("duplicate_upload", "There was an unfinished upload. Send the request again.", status=409)
        return begun.claim

    async def claim(self, key: AppKey, owner: str, *, offset: int | None, length: int | None, has_body: bool) -> Claim:
        """As `service.claim`."""
        return await self._when_free(
            lambda session: service.claim(session, key, owner, offset=offset, length=length, has_body=has_body)
        )

    @asynccontextmanager
    async def holding(self, held: Claim) -> AsyncIterator[None]:
        """Keep a claim alive for as long as the block runs, and let go of it if the block fails."""
        renewing = asyncio.create_task(self._renew(held))
        try:
            yield
        except BaseException:
            with suppress(SQLAlchemyError):
                await self._writes.apply(lambda session: service.release(session, held))
            raise
        finally:
            renewing.cancel()

    async def keep(self, held: Claim, start: int, content: bytes, *, release: bool) -> Part:
        """Store and count a piece."""
        part = Part(held.upload_id, start, len(content), held.owner)
        await self._writes.apply(lambda session: service.expect(session, held, part))
        await self._store_away(self._objects.put_bytes, part.key, content)
        await self._writes.apply(lambda session: service.keep(session, held, part, release=release))
        return part

    async def release(self, held: Claim) -> None:
        await self._writes.apply(lambda session: service.release(session, held))

    async def complete(self, held: Claim, parts: Sequence[Part], rest: bytes) -> None:
        """Make the object of the pieces and what came last. Raises Problem if it is not what was announced."""
        try:
            size = await self._store_away(self._store, held, parts, rest)
        except StoreUnavailable:
            raise
        except ObjectMissing as error:
            # Pieces that are gone do not come back: the client has to begin anew, and learns it from its next HEAD.
            await self.discard(held)
            raise UploadBusy from error
        except Problem:
            await self.discard(held)
            raise
        await self._writes.apply(lambda session: service.complete(session, held, size))
        await self._remove(parts)

    async def discard(self, held: Claim) -> None:
        """Forget an upload with everything that has arrived."""
        await self._remove(await self._writes.apply(lambda session: service.discard(session, held)))

    def _current(self, key: AppKey) -> tuple[RowMapping | None, bool]:
        with self._registry.read() as session:
            row = service.current(session, key.key)
            return row, row is not None and service.is_held(row, session.now)

    def _store(self, held: Claim, parts: Sequence[Part], rest: bytes) -> int:
        key = held.key.key
        check = ContentCheck(key, held.checksum, self.max_length)
        chunks = check.passing(self._chunks(parts, rest))
        with self._registry.read() as session:
            keeps_object = service.keeps_object(session, held.key)
        known = self._objects.head(key) if keeps_object else None
        if known is not None:
            # Its name says what is in it: the same comes again, or it must not come.
            for _ in chunks:
                continue
            return known.size
        if parts:
            self._objects.put_stream(key, chunks)
        else:
            self._objects.put_bytes(key, b"".join(chunks))
        return sum(part.size for part in parts) + len(rest)

    def _chunks(self, parts: Iterable[Part], rest: bytes) -> Iterator[bytes]:
        for part in parts:
            yield self._objects.read(part.key)
        if rest:
            yield rest

    async def _renew(self, held: Claim) -> None:
        lives = True
        while lives:
            await asyncio.sleep(_RENEW_SECONDS)
            with suppress(SQLAlchemyError):
                lives = await self._writes.apply(lambda session: service.renew(session, held))

    async def _when_free(self, rule: Rule[T]) -> T:
        """Apply a rule that needs an upload nobody works on; wait a little if somebody does."""
        for _ in _patience():
            with suppress(UploadBusy):
                return await self._writes.apply(rule)
            await asyncio.sleep(_ASK_SECONDS)
        return await self._writes.apply(rule)

    async def _store_away(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do something with the object store, which may take long, when it is its turn."""
        async with self._storing:
            return await run_in_threadpool(work, *args, **kwargs)

    async def _remove(self, parts: Sequence[Part]) -> None:
        if parts:
            removed = await self._store_away(remove_parts, self._objects, parts)
            await self._writes.apply(lambda session: service.forget(session, removed))


def remove_parts(objects: ObjectStore, parts: Iterable[Part]) -> list[Part]:
    """Remove the objects of pieces that no upload needs. Gives those that are gone; a clean-up finds the others."""
    removed = []
    with suppress(StoreUnavailable):
        for part in parts:
            objects.delete(part.key)
            removed.append(part)
    return removed


def _patience() -> Iterator[int]:
    return iter(range(int(_WAIT_SECONDS / _ASK_SECONDS)))
