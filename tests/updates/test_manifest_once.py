"""A release is asked for by many devices at once, and its long answer is made for all of them once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import msgspec

from capstan.updates.checks import CheckHandler
from capstan.updates.directory import Entry, RegistryUnavailableError
from capstan.updates.enumeration import EnumerationGuard
from capstan.updates.gate import LimitList
from capstan.updates.recording import Recorder
from capstan.updates.snapshot import ManifestFile
from tests.updates.test_recording import Kept
from tests.updates.world import BASE, DELTA_ROWS, ORIGIN, delta


class OneApp:
    """A directory whose manifests take a moment to read. While `fails`, they cannot be read."""

    def __init__(self) -> None:
        self.entry = Entry(delta(), 0, 0.0)
        self.reads = 0
        self.fails = False

    def peek(self, _app_id: str) -> Entry:
        return self.entry

    async def app(self, _app_id: str) -> Entry:
        return self.entry

    async def manifest(self, _bundle_id: int) -> tuple[ManifestFile, ...]:
        self.reads += 1
        await asyncio.sleep(0)
        if self.fails:
            raise RegistryUnavailableError("gone")
        return DELTA_ROWS


def handler_of(one_app: OneApp) -> CheckHandler:
    directory: Any = one_app
    nothing_failed: Any = SimpleNamespace(may_hold=lambda _app_id, _device_id: False)
    recorder = Recorder(Kept(), "hourly")
    return CheckHandler(directory, recorder, LimitList(()), EnumerationGuard(0, b"", lambda: 0.0), nothing_failed)


async def ask(handler: CheckHandler, number: int) -> tuple[int, bytes]:
    """What a device is answered that comes by the way of all requests."""
    device = f"{number:08x}-0000-4000-8000-000000000000"
    raw = msgspec.json.encode({**BASE, "app_id": "io.acme.delta", "device_id": device})
    request: Any = SimpleNamespace(origin=ORIGIN, address=None, takes_gzip=False)
    answer = handler.answer_now(raw, request)
    if not isinstance(answer, tuple):
        answer = await handler.answer(answer, raw, request)
    return answer.status, answer.body


def test_devices_that_ask_at_once_share_the_making_of_the_answer() -> None:
    async def rush() -> None:
        one_app = OneApp()
        handler = handler_of(one_app)
        answers = await asyncio.gather(*(ask(handler, number) for number in range(20)))
        assert {status for status, _ in answers} == {200}
        assert all(b"main.js" in body for _, body in answers)
        assert await ask(handler, 21) == answers[0]
        assert one_app.reads == 1

    asyncio.run(rush())


def test_an_answer_that_could_not_be_made_is_made_anew_for_the_next_device() -> None:
    async def rush() -> None:
        one_app = OneApp()
        handler = handler_of(one_app)
        one_app.fails = True
        assert {status for status, _ in await asyncio.gather(*(ask(handler, number) for number in range(5)))} == {503}
        one_app.fails = False
        assert (await ask(handler, 1))[0] == 200

    asyncio.run(rush())
