"""Bytes come in: gathered to pieces, stored piece by piece, and made one object when the last of them is there.

A client that goes away in the middle loses nothing of what arrived. Memory is bounded: pieces are smaller when many
clients send at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from starlette.requests import ClientDisconnect

from capstan.errors import Problem
from capstan.uploads.service import Claim
from capstan.uploads.workshop import Workshop

_SMALLEST_PIECE = 256 << 10
_LARGEST_PIECE = 4 << 20
_MEMORY = 64 << 20
"""What the pieces of all clients may take together, as long as these are no more than 256."""


class Reception:
    """Takes the bodies of all clients of one process."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._clients = 0

    async def take(self, held: Claim, body: AsyncIterator[bytes], announced: int) -> int:
        """Append a body to an upload; gives the new offset. `announced` is its Content-Length, 0 if it is not said.

        Raises Problem for a body that is too long (413) or not what was promised, after which the upload is gone, or
        ClientDisconnect once everything that arrived is safe.
        """
        with self._one_more_client():
            async with self._workshop.holding(held):
                arriving = _Arriving(self._workshop, held)
                await arriving.expect(announced)
                try:
                    async for chunk in body:
                        await arriving.add(chunk, self._piece_bytes())
                except ClientDisconnect:
                    await arriving.settle()
                    raise
                await arriving.settle()
                return arriving.offset

    def _piece_bytes(self) -> int:
        return max(_SMALLEST_PIECE, min(_LARGEST_PIECE, _MEMORY // self._clients))

    @contextmanager
    def _one_more_client(self) -> Iterator[None]:
        self._clients += 1
        try:
            yield
        finally:
            self._clients -= 1


class _Arriving:
    """What one request brings."""

    def __init__(self, workshop: Workshop, held: Claim) -> None:
        self.offset = held.received
        self._workshop = workshop
        self._held = held
        self._parts = list(held.parts)
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._limit = workshop.max_length if held.length is None else held.length

    async def expect(self, announced: int) -> None:
        """Refuse at once what will be too long in the end."""
        if self._limit > self._workshop.max_length or self.offset + announced > self._limit:
            await self._refuse_length()

    async def add(self, chunk: bytes, piece_bytes: int) -> None:
        self.offset += len(chunk)
        if self.offset > self._limit:
            await self._refuse_length()
        self._chunks.append(chunk)
        self._waiting += len(chunk)
        if self._waiting >= piece_bytes and not self._complete:
            await self._keep(release=False)

    async def settle(self) -> None:
        """No more is coming: end the upload if it is whole, else keep what arrived and let go."""
        if self._complete:
            await self._workshop.complete(self._held, self._parts, b"".join(self._chunks))
        elif self._waiting:
            await self._keep(release=True)
        else:
            await self._workshop.release(self._held)

    @property
    def _complete(self) -> bool:
        return self.offset == self._held.length

    async def _keep(self, *, release: bool) -> None:
        content = b"".join(self._chunks)
        start = self.offset - self._waiting
        self._parts.append(await self._workshop.keep(self._held, start, content, release=release))
        self._chunks, self._waiting = [], 0

    async def _refuse_length(self) -> None:
        await self._workshop.discard(self._held)
        raise Problem("unknown_error", "Unknown error", status=413)
