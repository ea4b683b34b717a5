"""Load for measuring waits, in the open model: requests leave on a schedule that was fixed before, answered or not.

Each wait is counted from the moment that the schedule says, so a server that stalls cannot make the load wait with it
(no coordinated omission). The schedule is a Poisson process, as very many independent devices are. How late this
process itself was is told beside: on a busy machine that is the machine's doing, and it is part of the waits.

`python -m bench.open_load` reads a `Plan` from standard input and writes a `Run` to standard output: load is made in a
process of its own.
"""

from __future__ import annotations

import asyncio
import gc
import selectors
import sys
from collections import deque
from random import Random

import msgspec
from msgspec import Struct

from bench import world
from bench.wire import Connection, request_bytes
from capstan.simulator import LightFleet

CONNECTIONS_AT_START = 64
MOST_CONNECTIONS = 800
"""Connections are opened when all are busy. Beyond this (the selector has a limit) a request is dropped and counted."""

LOST = 0
"""The status of a request whose connection broke."""

PATIENCE_SECONDS = 30.0
"""How long answers are waited for after the last request has left."""

ACTION = "app_moved_to_foreground"


class Plan(Struct, frozen=True):
    """What to send: `rate` requests a second for `seconds`, from `devices` devices drawn evenly."""

    port: int
    rate: float
    seconds: float
    devices: int
    event_share: float
    seed: int = 1


class Sent(Struct, array_like=True):
    """One request. Moments are seconds of the machine's monotonic clock, which all processes share."""

    is_event: bool
    due: float
    late: float
    wait: float = 0.0
    status: int = LOST


class Run(Struct):
    """Everything that was sent, and the moments for which no connection was free."""

    sent: list[Sent]
    dropped: list[float]


class _Generator:
    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._loop = asyncio.get_running_loop()
        self._random = Random(plan.seed)
        self._fleet: LightFleet = world.mostly_up_to_date()
        self._idle: deque[Connection] = deque()
        self._in_flight: dict[Connection, Sent] = {}
        self._opening = 0
        self._opened: set[asyncio.Task[None]] = set()
        self._run = Run([], [])
        self._finished: asyncio.Future[None] = self._loop.create_future()

    async def run(self) -> Run:
        for _ in range(CONNECTIONS_AT_START):
            self._idle.append(await self._connect())
        # A collection would make the load late, and nothing here makes cycles.
        gc.collect()
        gc.disable()
        begin = self._loop.time() + 0.5
        self._end = begin + self._plan.seconds
        self._due = begin
        self._loop.call_at(begin, self._send_what_is_due)
        await self._finished
        return self._run

    def _send_what_is_due(self) -> None:
        now = self._loop.time()
        while self._due <= now and self._due < self._end:
            self._send(self._due)
            self._due += self._random.expovariate(self._plan.rate)
            now = self._loop.time()
        if self._due < self._end:
            self._loop.call_at(self._due, self._send_what_is_due)
        else:
            self._loop.call_later(PATIENCE_SECONDS, self._give_up)
            self._finish_if_over()

    def _send(self, due: float) -> None:
        is_event = self._random.random() < self._plan.event_share
        device = self._random.randrange(self._plan.devices)
        request = (
            request_bytes("/stats", self._fleet.event_body(device, ACTION))
            if is_event
            else request_bytes("/updates", self._fleet.check_body(device))
        )
        if self._idle:
            self._send_on(self._idle.popleft(), request, Sent(is_event, due, 0.0))
        elif len(self._in_flight) + self._opening < MOST_CONNECTIONS:
            task = self._loop.create_task(self._send_on_another(request, Sent(is_event, due, 0.0)))
            self._opened.add(task)
            task.add_done_callback(self._opened.discard)
        else:
            self._run.dropped.append(due)

    def _send_on(self, connection: Connection, request: bytes, sent: Sent) -> None:
        sent.late = self._loop.time() - sent.due
        self._run.sent.append(sent)
        self._in_flight[connection] = sent
        connection.send(request)

    async def _send_on_another(self, request: bytes, sent: Sent) -> None:
        self._opening += 1
        try:
            connection = await self._connect()
        except OSError:
            self._run.sent.append(sent)
            return
        finally:
            self._opening -= 1
        self._send_on(connection, request, sent)

    async def _connect(self) -> Connection:
        _, connection = await self._loop.create_connection(
            lambda: Connection(self._answered, self._lost), "127.0.0.1", self._plan.port
        )
        return connection

    def _answered(self, connection: Connection, status: int, _body: bytes) -> None:
        sent = self._in_flight.pop(connection)
        sent.wait = self._loop.time() - sent.due
        sent.status = status
        # The one that rested longest is taken next, so none rests long enough for the server to close it.
        self._idle.append(connection)
        self._finish_if_over()

    def _lost(self, connection: Connection) -> None:
        sent = self._in_flight.pop(connection, None)
        if sent is None:
            self._idle.remove(connection)
        else:
            sent.wait = self._loop.time() - sent.due
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        if self._due >= self._end and not self._in_flight and not self._opening:
            self._give_up()

    def _give_up(self) -> None:
        if not self._finished.done():
            self._finished.set_result(None)


def main() -> None:
    plan = msgspec.json.decode(sys.stdin.buffer.read(), type=Plan)
    # select(2) wakes within microseconds of the moment asked for; epoll and uvloop only within a millisecond.
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        run = runner.run(_generate(plan))
    sys.stdout.buffer.write(msgspec.json.encode(run))


async def _generate(plan: Plan) -> Run:
    return await _Generator(plan).run()


if __name__ == "__main__":
    main()
