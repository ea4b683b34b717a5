"""Load for measuring costs, in the closed model: each connection sends its next request when the last is answered.

It keeps the server busy all the time and so shows what a request costs, never how long one waits: for that see
`open_load`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

import uvloop

from bench.processes import Server
from bench.wire import Connection

CONNECTIONS = 64
_ACCEPT_SECONDS = 0.1


@dataclass(frozen=True)
class Cost:
    """What a number of requests cost the server process. `failed` are the places of those not answered with 200."""

    requests: int
    failed: tuple[int, ...]
    seconds: float
    cpu_seconds: float
    sample: bytes

    @property
    def cpu_us(self) -> float:
        """Microseconds of server CPU for each request, all threads, what is written later included."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def measure(server: Server, requests: Sequence[bytes]) -> Cost:
    """Send each request once and wait until the server has nothing left to do."""
    load = send(server, requests)
    server.settle()
    cpu_seconds = server.cpu_seconds - load.cpu_before
    return Cost(len(requests), tuple(load.failed), load.seconds, cpu_seconds, load.sample)


def send(server: Server, requests: Sequence[bytes]) -> Load:
    """Send each request once; back as soon as the last one is answered."""
    load = Load(requests)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(load.run(server))
    return load


class Load:
    """What became of some requests; read it when they are over. `cpu_before` is the server's before the first."""

    def __init__(self, requests: Sequence[bytes]) -> None:
        self.failed: list[int] = []
        self.cpu_before = 0.0
        self.seconds = 0.0
        self.sample = b""
        self._requests = requests
        self._next = 0
        self._in_flight: dict[Connection, int] = {}

    async def run(self, server: Server) -> None:
        """Send them over `CONNECTIONS` connections; making these is not counted."""
        loop = asyncio.get_running_loop()
        self._finished: asyncio.Future[None] = loop.create_future()
        made = [
            await loop.create_connection(lambda: Connection(self._answered, self._lost), "127.0.0.1", server.port)
            for _ in range(min(CONNECTIONS, len(self._requests)))
        ]
        await asyncio.sleep(_ACCEPT_SECONDS)
        self.cpu_before = server.cpu_seconds
        started = time.perf_counter()
        for _transport, connection in made:
            self._send(connection)
        await self._finished
        self.seconds = time.perf_counter() - started
        # If the server went away, nobody was left to send the rest.
        self.failed.extend(range(self._next, len(self._requests)))

    def _send(self, connection: Connection) -> None:
        if self._next == len(self._requests):
            connection.close()
            return
        self._in_flight[connection] = self._next
        connection.send(self._requests[self._next])
        self._next += 1

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        number = self._in_flight.pop(connection)
        if status == 200:
            self.sample = body
        else:
            self.failed.append(number)
        self._send(connection)
        self._finish_if_over()

    def _lost(self, connection: Connection) -> None:
        number = self._in_flight.pop(connection, None)
        if number is not None:
            self.failed.append(number)
            self._finish_if_over()

    def _finish_if_over(self) -> None:
        if not self._in_flight:
            self._finished.set_result(None)
