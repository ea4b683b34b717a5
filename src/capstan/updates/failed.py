"""Which bundles failed on which device, so that a device is not offered them again (rule `failed_on_device`).

After `update_fail` or `set_fail` a device would get the same bundle at its next check, load it, fail again, and so on.
What failed is written to telemetry with the event, durably, and never to the registry: it is state of one device. It
ends when the channel offers another bundle, after `failed_bundle_memory`, or when an operator forgives the device.

A check must not pay for that. Apps of which nothing failed are known, and for the others two bitmaps say which devices
may have failed something; whoever is not in them, nearly everybody, needs no look-up. Whoever is in them is looked up
by key, so the database has the last word: a bit too many costs microseconds. Failures that other processes took are
learned within a second.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

import structlog
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from capstan.outages import Outage
from capstan.telemetry.failed_bundles import (
    NONE_FAILED,
    FailureReader,
    FailuresUnreadableError,
    devices_failing_after,
)
from capstan.telemetry.records import EventRow
from capstan.telemetry.writer import Telemetry

APPLY_FAILURES = frozenset({"set_fail", "update_fail"})
"""Actions that tell that a bundle was there and could not be run. No failed downloads: they may work the next time."""

LEARN_EVERY_SECONDS = 1.0
OVERLAP_MS = 15_000
"""How far back is looked each time: more than a commit takes, or the clocks of two nodes differ."""

BITS_BYTES = 1 << 20
"""One megabyte of bits: with 100,000 devices in it, one in a hundred others is taken for one of them."""

_PLACES = BITS_BYTES - 1

log = structlog.get_logger(__name__)


class FailedBundles(Protocol):
    """What the device plane asks about bundles that failed."""

    def note(self, row: EventRow, bundle_id: int) -> None:
        """Have the failure kept together with its row of the event log, which is in the batch already."""

    def may_hold(self, app_id: str, device_id: str) -> bool:
        """Whether something may have failed on this device; costs next to nothing."""

    async def of_device(self, app_id: str, device_id: str) -> frozenset[int]:
        """The ids of the bundles that failed on this device."""


class NothingKept:
    """Failures are not remembered, as in the original."""

    def note(self, row: EventRow, bundle_id: int) -> None:  # noqa: ARG002
        return

    def may_hold(self, app_id: str, device_id: str) -> bool:  # noqa: ARG002
        return False

    async def of_device(self, app_id: str, device_id: str) -> frozenset[int]:  # noqa: ARG002
        return NONE_FAILED


class RememberedFailures:
    """Remembers failures for `memory_seconds`. `clock` gives epoch seconds. Used on one event loop.

    There are two generations of bits, each filled for as long as failures are remembered: when it is the younger one's
    turn to be the older one, that one holds nothing that still counts.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        engine: Engine,
        reader: FailureReader,
        memory_seconds: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._telemetry = telemetry
        self._engine = engine
        self._reader = reader
        self._memory_ms = memory_seconds * 1000
        self._clock = clock
        self._young, self._old = bytearray(BITS_BYTES), bytearray(BITS_BYTES)
        self._young_since_ms = self._now_ms()
        self._apps: dict[str, int] = {}
        self._outage = Outage(log, "failures of devices cannot be read", "failures of devices can be read again")

    async def start(self) -> None:
        """Learn what is known, then go on learning. Raises SQLAlchemyError if telemetry cannot be read."""
        await self._learn(self._now_ms() - self._memory_ms)
        self._learner = asyncio.create_task(self._go_on_learning())

    async def stop(self) -> None:
        self._learner.cancel()
        with suppress(asyncio.CancelledError):
            await self._learner
        self._reader.close()

    def note(self, row: EventRow, bundle_id: int) -> None:
        self._telemetry.batch.add_failed(row, bundle_id)
        self._add(row[0], row[1])

    def may_hold(self, app_id: str, device_id: str) -> bool:
        if app_id not in self._apps:
            return False
        mark = hash((app_id, device_id))
        place = (mark >> 3) & _PLACES
        return bool((self._young[place] | self._old[place]) & (1 << (mark & 7)))

    async def of_device(self, app_id: str, device_id: str) -> frozenset[int]:
        try:
            failed = await self._reader.bundles((app_id, device_id), self._now_ms() - self._memory_ms)
        except FailuresUnreadableError as error:
            # An update that may fail again is better than none.
            self._outage.met(error)
            return NONE_FAILED
        self._outage.over()
        return failed

    async def learn(self) -> None:
        """Learn what failed lately, in any process."""
        now_ms = self._now_ms()
        if now_ms - self._young_since_ms > self._memory_ms:
            self._begin_generation(now_ms)
        await self._learn(now_ms - OVERLAP_MS)

    async def _go_on_learning(self) -> None:
        while True:
            await asyncio.sleep(LEARN_EVERY_SECONDS)
            try:
                await self.learn()
            except SQLAlchemyError as error:
                self._outage.met(error)
            else:
                self._outage.over()

    async def _learn(self, after_ms: int) -> None:
        for app_id, device_id in await asyncio.to_thread(devices_failing_after, self._engine, after_ms):
            self._add(app_id, device_id)

    def _begin_generation(self, now_ms: int) -> None:
        self._old, self._young, self._young_since_ms = self._young, bytearray(BITS_BYTES), now_ms
        self._apps = {app_id: last for app_id, last in self._apps.items() if last > now_ms - self._memory_ms}

    def _add(self, app_id: str, device_id: str) -> None:
        self._apps[app_id] = self._now_ms()
        mark = hash((app_id, device_id))
        self._young[(mark >> 3) & _PLACES] |= 1 << (mark & 7)

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)
