"""The one writer of a process: records go in on the event loop, batches are committed on a thread.

Only the event loop touches the batch that is being filled, and only the thread touches one that was handed over, so
there is no lock. While a commit runs, everything that arrives gathers in the next batch (group commit). Who needs an
event to be durable awaits `durable()`; everything else is written within `FLUSH_SECONDS` and may be lost in a crash.
"""

from __future__ import annotations

import asyncio
import threading
from queue import SimpleQueue
from typing import Protocol

import structlog

from capstan.outages import Outage
from capstan.telemetry.records import Batch
from capstan.telemetry.sinks import Sink

FLUSH_SECONDS = 0.5
MAX_PENDING = 50_000
"""Records in the batch being filled, above which what need not be durable is dropped (and counted)."""

log = structlog.get_logger(__name__)


class TelemetryUnavailableError(Exception):
    """The batch could not be committed, or there is no room for more; nothing of it was stored."""


class Telemetry(Protocol):
    """What the device plane needs of telemetry."""

    batch: Batch
    failures: int
    """Batches that could not be committed; when it moves, nothing may be taken for written any more."""

    def has_room(self) -> bool: ...

    def written_soon(self) -> None: ...

    async def durable(self, since: int) -> None: ...


class Writer:
    """Commits batches to a sink from a thread of its own. Made, used and stopped on one event loop."""

    def __init__(self, sink: Sink) -> None:
        self.batch = Batch()
        self.dropped = 0
        self.failures = 0
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._waiters: list[asyncio.Future[None]] = []
        self._committing: list[asyncio.Future[None]] = []
        self._busy = False
        self._outage = Outage(log, "telemetry cannot be written", "telemetry is written again")
        self._timer: asyncio.TimerHandle | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._handed_over: SimpleQueue[Batch | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._commit_batches, name="telemetry-writer", daemon=True)
        self._thread.start()

    def has_room(self) -> bool:
        """Whether records that may be lost are still taken; when not, each call counts one as dropped."""
        if len(self.batch) < MAX_PENDING:
            return True
        self.dropped += 1
        return False

    def written_soon(self) -> None:
        """Have what was added to `batch` committed within `FLUSH_SECONDS`."""
        if self._timer is None:
            self._timer = self._loop.call_later(FLUSH_SECONDS, self._flush)

    async def durable(self, since: int) -> None:
        """Return once everything added to `batch` since `failures` was `since` is committed.

        Raises TelemetryUnavailableError when it could not be. What was added over several awaits may lie in more than
        one batch, hence `since`.
        """
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        self._flush()
        await waiter
        if self.failures != since:
            raise TelemetryUnavailableError("an earlier batch could not be committed")

    async def stop(self) -> None:
        """Commit what is left, then end the thread and close the sink."""
        while len(self.batch) or self._busy:
            self._flush()
            await self._idle.wait()
        self._handed_over.put(None)
        await asyncio.to_thread(self._thread.join)
        self._sink.close()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._busy or not (len(self.batch) or self._waiters):
            return
        self._busy = True
        self._idle.clear()
        batch, self.batch = self.batch, Batch()
        self._committing, self._waiters = self._waiters, []
        self._handed_over.put(batch)

    def _commit_batches(self) -> None:
        while (batch := self._handed_over.get()) is not None:
            failure: Exception | None = None
            try:
                if len(batch):
                    self._sink.store(batch)
            except Exception as error:  # told to whoever waits, and logged; the thread must live on
                failure = error
            self._loop.call_soon_threadsafe(self._committed, len(batch), failure)
            if failure is None:
                self._rest()

    def _rest(self) -> None:
        try:
            self._sink.rest()
        except Exception as error:
            log.warning("telemetry upkeep failed", error=str(error))

    def _committed(self, size: int, failure: Exception | None) -> None:
        if failure is not None:
            self.dropped += size
            self.failures += 1
            self._outage.met(failure, records=size)
        else:
            self._outage.over(dropped_in_all=self.dropped)
        for waiter in self._committing:
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(TelemetryUnavailableError(str(failure)))
        self._busy = False
        self._idle.set()
        if self._waiters:
            self._flush()
        elif len(self.batch):
            self.written_soon()
