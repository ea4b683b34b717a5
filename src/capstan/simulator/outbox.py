"""Events on their way to the server: a bounded queue, sent as the releases send it (contract: device 7.1, 7.3, 7.4)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

import msgspec

from capstan.simulator.answers import Reply
from capstan.simulator.identity import Identity, Platform

MAX_EVENTS = 200


class Event(msgspec.Struct, frozen=True):
    """One event as it goes on the wire. One that goes `alone` is never in a batch, and is lost when it fails."""

    body: dict[str, Any]
    alone: bool = False


class Flushed(msgspec.Struct, frozen=True):
    """What one flush did, in events."""

    sent: int = 0
    kept: int = 0
    dropped: int = 0

    def __add__(self, later: Flushed) -> Flushed:
        """Both together; what is kept is what the later one left."""
        return Flushed(self.sent + later.sent, later.kept, self.dropped + later.dropped)


class Fate(Enum):
    """What becomes of events after the reply to them."""

    SENT = "sent"
    KEPT = "put back, to be sent again"
    DROPPED = "dropped"


Post = Callable[[object], Awaitable[Reply | None]]


class Outbox:
    """The queue of one device. When it is full the oldest event goes; one flush is in flight at a time."""

    def __init__(self, identity: Identity) -> None:
        self.dropped = 0
        """Events lost for want of room."""
        self._identity = identity
        self._events: list[Event] = []
        self._flushing = False

    @property
    def pending(self) -> tuple[Event, ...]:
        return tuple(self._events)

    def put(self, event: Event) -> None:
        self._events.append(event)
        self._trim()

    def restore(self, events: list[Event]) -> None:
        """Take up what an earlier run of the device left."""
        self._events = [*events, *self._events]
        self._trim()

    async def flush(self, post: Post, held: Callable[[], bool]) -> Flushed:
        """Send what is queued, once. `held` says, before each request, whether a 429 holds calls back."""
        if self._flushing:
            return Flushed(kept=len(self._events))
        self._flushing = True
        try:
            return await self._flush_singles(post, held) + await self._flush_batch(post, held)
        finally:
            self._flushing = False

    async def _flush_singles(self, post: Post, held: Callable[[], bool]) -> Flushed:
        singles = [event for event in self._events if event.alone]
        sent = dropped = 0
        for event in singles:
            if held():
                break
            self._events.remove(event)
            reply = await post(event.body)
            if self._fate(reply) is Fate.SENT:
                sent += 1
            else:
                dropped += 1
        return Flushed(sent, len(self._events), dropped)

    async def _flush_batch(self, post: Post, held: Callable[[], bool]) -> Flushed:
        batch = [event for event in self._events if not event.alone]
        if not batch or held():
            return Flushed(kept=len(self._events))
        self._events = [event for event in self._events if event.alone]
        fate = self._fate(await post([event.body for event in batch]))
        if fate is Fate.KEPT:
            self.restore(batch)
        return Flushed(
            sent=len(batch) if fate is Fate.SENT else 0,
            kept=len(self._events),
            dropped=len(batch) if fate is Fate.DROPPED else 0,
        )

    def _fate(self, reply: Reply | None) -> Fate:
        if reply is None or reply.status in (408, 429) or reply.status >= 500:
            return Fate.KEPT
        if not reply.ok:
            return Fate.DROPPED
        empty = not reply.body and self._identity.platform is Platform.IOS
        return Fate.KEPT if empty else Fate.SENT

    def _trim(self) -> None:
        excess = len(self._events) - MAX_EVENTS
        if excess > 0:
            del self._events[:excess]
            self.dropped += excess
