"""Somebody who releases all the time while devices ask: uploads, one after another, and changes of the channel."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import Any

import httpx

from tests.journeys.small_builds import small_build, zip_of
from tests.updates.acme import NOTES

CHANNEL = "production"
OFFERED = ("2.1.0", "2.2.0")

_CHANGE_EVERY_SECONDS = 0.3
_REST_SECONDS = 0.5
_PATIENCE_SECONDS = 60.0


@dataclass
class Releases:
    """Works against `url`, which may change when a server is killed. `may_cut_off` as of `fleet.Load`."""

    url: str
    api_key: str
    may_cut_off: bool = False
    uploads: int = 0
    changes: int = 0
    cut_off: int = 0
    strange: list[str] = field(default_factory=list)

    async def run(self, done: asyncio.Event) -> None:
        """Until the devices are done."""
        async with (
            httpx.AsyncClient(headers={"capgkey": self.api_key}, timeout=_PATIENCE_SECONDS) as client,
            asyncio.TaskGroup() as group,
        ):
            group.create_task(self._upload(client, done))
            group.create_task(self._change(client, done))

    async def _upload(self, client: httpx.AsyncClient, done: asyncio.Event) -> None:
        for number in count(1):
            query = {"app_id": NOTES, "version": f"5.0.{number}"}
            content = zip_of(small_build(query["version"]))
            self.uploads += await self._ask(client, "/capstan/bundle/upload", params=query, content=content)
            if await _is_over(done, _REST_SECONDS):
                return

    async def _change(self, client: httpx.AsyncClient, done: asyncio.Event) -> None:
        for version in cycle(OFFERED):
            body = {"app_id": NOTES, "channel": CHANNEL, "version": version}
            self.changes += await self._ask(client, "/channel", json=body)
            if await _is_over(done, _CHANGE_EVERY_SECONDS):
                return

    async def _ask(self, client: httpx.AsyncClient, path: str, **content: Any) -> bool:
        """Whether it was done; False only if the server was killed meanwhile."""
        try:
            answer = await client.post(f"{self.url}{path}", **content)
        except httpx.TransportError as error:
            self.cut_off += 1
            if not self.may_cut_off:
                self.strange.append(f"{path}: {error!r}")
            return False
        if answer.status_code != 200:
            self.strange.append(f"{path}: {answer.status_code} {answer.text}")
        return answer.status_code == 200


async def _is_over(done: asyncio.Event, pause: float) -> bool:
    """Wait a little, at most until the devices are done."""
    try:
        await asyncio.wait_for(done.wait(), pause)
    except TimeoutError:
        return False
    return True
