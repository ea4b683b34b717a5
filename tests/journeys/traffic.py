"""Everything at once against one server until it is killed at a chosen moment: uploads, deletes, events, checks.

What gets no answer stays unsure in the ledger. A connection that breaks before the kill fails the test, and so does
every answer that is not the expected one.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import httpx
import psutil

from capstan.simulator import Identity, Platform
from tests.journeys.ledger import Ledger, SentEvent
from tests.journeys.phones import READS_MANIFESTS
from tests.journeys.small_builds import small_build, zip_of

APP = "com.example.killed"
CHANNEL = "production"
NATIVE = "1.0.0"

Kind: TypeAlias = Literal["upload", "delete", "event", "check"]

_LATEST: dict[Kind, float] = {"upload": 1.2, "delete": 0.02, "event": 0.02}
"""Seconds after the beginning of a request by which it is usually answered; the kill comes at any time in between."""

_ACTIONS = ("set", "set_fail", "ping", "download_complete")
_MOST_IN_BATCH = 20
_KEPT = 3
"""Bundles that are left for the next round to delete."""
_PAUSE_SECONDS = 0.005
"""Between two events or checks of one sender: the machine has other things to do too."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When the kill comes: so many seconds after the beginning of the n-th request of a kind.

    It hits the server alone, as when somebody kills it, or its children with it, as when the machine stops.
    """

    kind: Kind
    number: int
    seconds: float
    with_children: bool

    @staticmethod
    def draw(chance: random.Random) -> Moment:
        kind = chance.choice(list(_LATEST))
        return Moment(kind, chance.randint(1, 3), chance.uniform(0, _LATEST[kind]), chance.choice((True, False)))


def upload(version: str, *, on_channel: bool) -> dict[str, Any]:
    """The request that publishes a small build, perhaps on the channel, as `httpx` takes it."""
    query = {"app_id": APP, "version": version, **({"channel": CHANNEL} if on_channel else {})}
    content = zip_of(small_build(version))
    return {"method": "POST", "url": "/capstan/bundle/upload", "params": query, "content": content}


class Traffic:
    """One round of traffic, through the client, against the process `pid`."""

    def __init__(
        self, client: httpx.AsyncClient, pid: int, ledger: Ledger, chance: random.Random, moment: Moment
    ) -> None:
        self.cut_off: Counter[Kind] = Counter()
        """Requests that got no answer."""
        self.children: Sequence[psutil.Process] = ()
        """The child processes that the server had when it was killed."""
        self._client = client
        self._pid = pid
        self._ledger = ledger
        self._chance = chance
        self._moment = moment
        self._begun: Counter[Kind] = Counter()
        self._killed = False
        self._news = asyncio.Event()

    async def until_killed(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._upload(on_channel=True))
            group.create_task(self._upload(on_channel=False))
            group.create_task(self._delete())
            group.create_task(self._send_single_events())
            group.create_task(self._send_batches())
            group.create_task(self._check())

    async def _upload(self, *, on_channel: bool) -> None:
        while not self._killed:
            version = self._ledger.next_version()
            self._ledger.upload_begins(version, on_channel=on_channel)
            if await self._ask("upload", **upload(version, on_channel=on_channel)) is not None:
                self._ledger.upload_answered(version)
                self._news.set()

    async def _delete(self) -> None:
        while not self._killed:
            candidates = self._ledger.may_be_deleted()
            if len(candidates) <= _KEPT:
                await self._news.wait()
                self._news.clear()
                continue
            version = self._chance.choice(candidates)
            self._ledger.delete_begins(version)
            body = {"app_id": APP, "version": version}
            if await self._ask("delete", method="DELETE", url="/bundle", json=body) is not None:
                self._ledger.delete_settled(version, gone=True)

    async def _send_single_events(self) -> None:
        while not self._killed:
            event = self._event()
            answer = await self._ask("event", method="POST", url="/stats", json=event_body(event))
            self._book([event], None if answer is None else [answer])
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _send_batches(self) -> None:
        while not self._killed:
            events = [self._event() for _ in range(self._chance.randint(2, _MOST_IN_BATCH))]
            bodies = [event_body(event) for event in events]
            answer = await self._ask("event", method="POST", url="/stats", json=bodies)
            self._book(events, None if answer is None else answer["results"])
            await asyncio.sleep(_PAUSE_SECONDS)

    def _book(self, events: list[SentEvent], results: list[Any] | None) -> None:
        if results is None:
            self._ledger.unsure_events += events
            return
        assert [result["status"] for result in results] == ["ok"] * len(events), results
        self._ledger.events += events

    async def _check(self) -> None:
        while not self._killed:
            body = _about(self._device(), NATIVE)
            answer = await self._ask("check", method="POST", url="/updates", json=body)
            if answer is not None:
                # Perhaps not the last one: between servers on PostgreSQL a change may take a second.
                assert answer["version"] in self._ledger.ever_offered, answer
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask(self, kind: Kind, **request: Any) -> Any:
        """The answer; None if the kill came first."""
        self._begin(kind)
        try:
            response = await self._client.request(**request)
        except httpx.TransportError:
            if not self._killed:
                raise
            self.cut_off[kind] += 1
            return None
        assert response.status_code == 200, response.text
        return response.json()

    def _begin(self, kind: Kind) -> None:
        self._begun[kind] += 1
        if kind == self._moment.kind and self._begun[kind] == self._moment.number:
            asyncio.get_running_loop().call_later(self._moment.seconds, self._kill)

    def _kill(self) -> None:
        # Looking for children takes longer than many a request; meanwhile nothing may go on.
        os.kill(self._pid, signal.SIGSTOP)
        self.children = psutil.Process(self._pid).children(recursive=True)
        for child in self.children if self._moment.with_children else ():
            child.kill()
        os.kill(self._pid, signal.SIGKILL)
        self._killed = True
        self._news.set()

    def _event(self) -> SentEvent:
        version = self._chance.choice(sorted(self._ledger.lasting))
        stamp = self._chance.choice((None, int(time.time() * 1000)))
        return SentEvent(self._device(), self._chance.choice(_ACTIONS), version, stamp)

    def _device(self) -> str:
        return str(uuid.UUID(int=self._chance.getrandbits(128), version=4))


def event_body(event: SentEvent) -> dict[str, Any]:
    """What `/stats` is told of an event."""
    stamp = {} if event.stamp is None else {"timestamp": event.stamp}
    return {**_about(event.device_id, event.version), "action": event.action, **stamp}


def _about(device_id: str, version: str) -> dict[str, Any]:
    """What a phone that runs a version says about itself in every call."""
    return Identity(APP, device_id, Platform.ANDROID, NATIVE, READS_MANIFESTS).about(version, "")
