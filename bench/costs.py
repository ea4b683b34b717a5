"""The first two budgets: what an update check and an event cost the server, as ratios to the yardstick.

Yardstick and servers take turns within each round, with the same bodies, so that a slow moment of the machine slows all
of them. A ratio is taken within a round, and the median of the rounds is what counts.
"""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import processes, world
from bench.closed_load import Cost, measure, send
from bench.known_devices import make_known
from bench.processes import Server
from bench.wire import request_bytes
from capstan.simulator import LightFleet

LANES = 7

Say = Callable[[str], None]


@dataclass(frozen=True)
class Effort:
    """How long to measure: rounds, requests in each slice of a round, and how many devices are known."""

    rounds: int
    requests: int
    known: tuple[int, ...]


@dataclass(frozen=True)
class Scenario:
    """One kind of request: an event if it has an `action`, else a check.

    `lane` is its share of the known devices, so that no scenario spoils another's state. Without a lane its devices are
    such as were never seen. `warm` devices were all seen before, by this process and in this hour. `changes`: its
    device has a new version of its operating system each time. Without a budget of its own a scenario is measured with
    the most known devices only.
    """

    name: str
    fleet: LightFleet
    budget: float | None = None
    action: str | None = None
    lane: int | None = None
    warm: bool = True
    changes: bool = False

    def request(self, device: int, version: int) -> bytes:
        """What a device sends; `version` counts the times it changed."""
        if self.action is not None:
            return request_bytes("/stats", self.fleet.event_body(device, self.action))
        body = self.fleet.check_body(device)
        if self.changes:
            body = body.replace(b'"version_os":"', b'"version_os":"%d.' % version)
        return request_bytes("/updates", body)


SCENARIOS = (
    Scenario("up to date, nothing changed", world.up_to_date(), 2.0, lane=0),
    Scenario("up to date, its row changes", world.up_to_date(), 3.0, lane=1, changes=True),
    Scenario("new bundle, offered before", world.behind(), 2.0, lane=2),
    Scenario("new bundle, its row changes", world.behind(), 3.0, lane=3, changes=True),
    Scenario("one event: app_moved_to_foreground", world.up_to_date(), 4.0, "app_moved_to_foreground", lane=4),
    Scenario("one event: set, which counts an install", world.up_to_date(), action="set", lane=5),
    Scenario("up to date, first contact of the hour", world.up_to_date(), lane=6, warm=False),
    Scenario("up to date, never seen before", world.up_to_date(), warm=False),
    Scenario(f"new bundle with {world.DELTA_FILES} delta files, gzip", world.behind(world.DELTA_APP), lane=2),
)


@dataclass(frozen=True)
class Slice:
    """One scenario on one server in one round, beside the yardstick just before and just after it."""

    scenario: Scenario
    known: int
    cost: Cost
    baseline_us: float

    @property
    def ratio(self) -> float:
        return self.cost.cpu_us / self.baseline_us


@dataclass
class Subject:
    """A server, how many devices it knows, and the events that it has answered (action and device id → how many)."""

    server: Server
    data_dir: Path
    known: int
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def width(self) -> int:
        """How many devices a lane has."""
        return max(self.known // LANES, 1)

    def device(self, scenario: Scenario, number: int) -> int:
        """The device that sends request `number` of a scenario."""
        if scenario.lane is None:
            return self.known + number
        return scenario.lane * self.width % self.known + number % self.width

    def request(self, scenario: Scenario, number: int) -> bytes:
        """Request `number` of a scenario; a device that asks again is asked about by its next version."""
        return scenario.request(self.device(scenario, number), number // self.width)


@dataclass(frozen=True)
class Durability:
    """How many events were answered in the whole run, and how many devices have another number of them in the log."""

    answered: int
    wrong: int


@dataclass(frozen=True)
class Costs:
    """All that was measured. `memory_mb` is of the server that knows most devices: at the end, and at its highest."""

    slices: tuple[Slice, ...]
    durability: Durability
    memory_mb: tuple[float, float]


def run(folder: Path, effort: Effort, say: Say) -> Costs:
    """Measure everything; the servers' data goes into `folder`."""
    with ExitStack() as stack:
        yardstick = stack.enter_context(processes.baseline())
        subjects = [stack.enter_context(_subject(folder / f"known-{known}", known, say)) for known in effort.known]
        slices: list[Slice] = []
        hour, took = 0, 90.0
        for number in range(effort.rounds):
            _wait_for_room_in_the_hour(took, say)
            if hour != _this_hour():
                hour = _this_hour()
                _warm_up(subjects, effort, say)
            say(f"costs: round {number + 1} of {effort.rounds}")
            started = time.monotonic()
            slices += _round(yardstick, subjects, number, effort)
            took = (time.monotonic() - started) * 1.5
        largest = subjects[-1]
        memory = largest.server.memory_mb(), largest.server.memory_mb("VmHWM")
        say("costs: are all answered events there after a kill?")
        return Costs(tuple(slices), _durability(largest, effort), memory)


@contextmanager
def _subject(data_dir: Path, known: int, say: Say) -> Iterator[Subject]:
    say(f"costs: a server that knows {known:,} devices")
    world.make_world(data_dir)
    make_known(data_dir, world.up_to_date(), known)
    with processes.capstan(data_dir) as server:
        yield Subject(server, data_dir, known)


def _warm_up(subjects: Sequence[Subject], effort: Effort, say: Say) -> None:
    say("costs: warming up")
    for subject in subjects:
        for scenario in SCENARIOS:
            if scenario.warm:
                # The devices that the rounds begin with, but a lap earlier: what changes will have changed since.
                first = -subject.width
                _send(subject, scenario, range(first, first + min(subject.width, effort.rounds * effort.requests)))


def _round(yardstick: Server, subjects: Sequence[Subject], number: int, effort: Effort) -> Iterator[Slice]:
    numbers = range(number * effort.requests, (number + 1) * effort.requests)
    for scenario in SCENARIOS:
        asked = subjects if scenario.budget is not None else subjects[-1:]
        bodies = [subjects[-1].request(scenario, at) for at in numbers]
        before = measure(yardstick, bodies)
        costs = [(subject.known, _send(subject, scenario, numbers)) for subject in asked]
        after = measure(yardstick, bodies)
        baseline_us = (before.cpu_us + after.cpu_us) / 2
        yield from (Slice(scenario, known, cost, baseline_us) for known, cost in costs)


def _send(subject: Subject, scenario: Scenario, numbers: range) -> Cost:
    cost = measure(subject.server, [subject.request(scenario, number) for number in numbers])
    _note_answered(subject, scenario, numbers, cost.failed)
    return cost


def _note_answered(subject: Subject, scenario: Scenario, numbers: Sequence[int], failed: Sequence[int]) -> None:
    if scenario.action is None:
        return
    unanswered = set(failed)
    subject.answered.update(
        (scenario.action, scenario.fleet.device_id(subject.device(scenario, number)))
        for at, number in enumerate(numbers)
        if at not in unanswered
    )


def _durability(subject: Subject, effort: Effort) -> Durability:
    """Send events and kill the server the moment the last is answered: then the log must hold what was answered."""
    scenario = next(one for one in SCENARIOS if one.action is not None)
    numbers = range(effort.requests)
    load = send(subject.server, [subject.request(scenario, number) for number in numbers])
    subject.server.kill()
    _note_answered(subject, scenario, numbers, load.failed)
    logged = _logged_events(subject.data_dir)
    wrong = sum(logged[key] != subject.answered[key] for key in logged.keys() | subject.answered)
    return Durability(subject.answered.total(), wrong)


def _logged_events(data_dir: Path) -> Counter[tuple[str, str]]:
    actions = [one.action for one in SCENARIOS if one.action is not None]
    places = ", ".join("?" * len(actions))
    query = f"select action, device_id, count(*) from events where action in ({places}) group by action, device_id"
    with closing(sqlite3.connect(data_dir / "telemetry.db")) as connection:
        return Counter({(action, device): count for action, device, count in connection.execute(query, actions)})


def _wait_for_room_in_the_hour(seconds: float, say: Say) -> None:
    """What does not change is written once an hour; a round that a new hour cut in two would measure both."""
    left = 3600 - time.time() % 3600
    if left < seconds:
        say(f"costs: waiting {left:.0f} seconds for the next hour")
        time.sleep(left + 1)


def _this_hour() -> int:
    return int(time.time() // 3600)
