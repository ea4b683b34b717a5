"""Very many devices in the open model: requests leave when they are due, whether the server answers or not.

Each device tells at most one event, so that afterwards the log can be asked for each of them. An event that got no
answer is told again, as a real device does, with the same moment; so are some that got one.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from random import Random
from typing import Literal, TypeAlias

from bench.wire import Connection, request_bytes

from capstan.simulator import LightFleet

Kind: TypeAlias = Literal["check", "event"]

ACTION = "app_moved_to_foreground"
UP_TO_DATE = b'"no_new_version_available"'
OFFER = b'"url":"'

_LAST_ANSWER_SECONDS = 20.0
_MOST_CONNECTIONS = 400
_TOLD_AGAIN = 0.1


@dataclass(frozen=True)
class Plan:
    """`rate` requests a second for `seconds`, of `devices` devices; `event_share` of the requests are events."""

    rate: float
    seconds: float
    devices: int
    event_share: float
    seed: int = 1


@dataclass(slots=True)
class Request:
    """`due` is a moment of the loop's clock."""

    kind: Kind
    device: int
    content: bytes
    due: float


@dataclass
class Outcome:
    """What became of the requests. Devices are those of the `LightFleet`, by number."""

    sent: Counter[Kind] = field(default_factory=Counter)
    cut_off: Counter[Kind] = field(default_factory=Counter)
    """Requests without an answer, because the server was killed."""
    told: set[int] = field(default_factory=set)
    """Devices whose event was taken."""
    offers: int = 0
    strange: list[tuple[Kind, int, bytes]] = field(default_factory=list)
    """Answers that are not as they must be: kind, status, body."""
    crowded_out: int = 0
    """Requests for which no connection was left."""
    waits: list[float] = field(default_factory=list)
    """Seconds from the moment that a request was due until it was answered."""


class Load:
    """One run. `port` may be changed while it runs, when another server takes the place of one that was killed."""

    def __init__(self, plan: Plan, fleet: LightFleet, port: int) -> None:
        self.port = port
        self.outcome = Outcome()
        self.may_cut_off = False
        """Whether the server is being killed: otherwise a connection that ends is a fault."""
        self._plan = plan
        self._fleet = fleet
        self._random = Random(plan.seed)
        self._idle: deque[Connection] = deque()
        self._in_flight: dict[Connection, Request] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._again: deque[tuple[int, bytes]] = deque()
        self._next_teller = 0

    async def run(self) -> None:
        """Send everything that becomes due, then wait for what is not answered yet."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        end = due + self._plan.seconds
        while due < end:
            await asyncio.sleep(max(0.0, due - loop.time()))
            self._send(self._request(due))
            due += self._random.expovariate(self._plan.rate)
        while self._again:
            self._send(Request("event", *self._again.popleft(), loop.time()))
            await asyncio.sleep(1 / self._plan.rate)
            await self._settle()
        await self._settle()
        for connection in self._idle:
            connection.close()

    async def _settle(self) -> None:
        end = time.monotonic() + _LAST_ANSWER_SECONDS
        while (self._in_flight or self._opening) and time.monotonic() < end:
            await asyncio.sleep(0.01)

    def _request(self, due: float) -> Request:
        if self._random.random() >= self._plan.event_share:
            device = self._random.randrange(self._plan.devices)
            return Request("check", device, request_bytes("/updates", self._fleet.check_body(device)), due)
        if self._again and self._random.random() < 0.5:
            return Request("event", *self._again.popleft(), due)
        device = self._next_teller
        self._next_teller += 1
        return Request("event", device, request_bytes("/stats", self._fleet.event_body(device, ACTION)), due)

    def _send(self, request: Request) -> None:
        self.outcome.sent[request.kind] += 1
        if self._idle:
            self._send_on(self._idle.popleft(), request)
        elif len(self._in_flight) + len(self._opening) < _MOST_CONNECTIONS:
            task = asyncio.create_task(self._send_on_another(request))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
        else:
            self.outcome.crowded_out += 1

    def _send_on(self, connection: Connection, request: Request) -> None:
        self._in_flight[connection] = request
        connection.send(request.content)

    async def _send_on_another(self, request: Request) -> None:
        try:
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._answered, self._lost), "127.0.0.1", self.port
            )
        except OSError:
            self._cut_off(request)
        else:
            self._send_on(connection, request)

    def _answered(self, connection: Connection, status: int, body: bytes) -> None:
        request = self._in_flight.pop(connection)
        self._idle.append(connection)
        self.outcome.waits.append(asyncio.get_running_loop().time() - request.due)
        if not self._is_right(request, status, body):
            self.outcome.strange.append((request.kind, status, body))
        elif request.kind == "event" and request.device not in self.outcome.told:
            self.outcome.told.add(request.device)
            if self._random.random() < _TOLD_AGAIN:
                self._again.append((request.device, request.content))

    def _is_right(self, request: Request, status: int, body: bytes) -> bool:
        if status != 200:
            return False
        if request.kind == "event":
            return body in (b'{"status":"ok"}', b'{"status":"ok","results":[{"status":"ok","index":0}]}')
        is_offer = OFFER in body
        self.outcome.offers += is_offer
        return is_offer or UP_TO_DATE in body

    def _lost(self, connection: Connection) -> None:
        request = self._in_flight.pop(connection, None)
        if request is not None:
            self._cut_off(request)
        elif connection in self._idle:
            self._idle.remove(connection)

    def _cut_off(self, request: Request) -> None:
        self.outcome.cut_off[request.kind] += 1
        if not self.may_cut_off:
            self.outcome.strange.append((request.kind, 0, b"the connection ended"))
        if request.kind == "event":
            self._again.append((request.device, request.content))
