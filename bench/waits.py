"""The third budget: how long devices wait under a load that does not wait for them, at rest and during a release.

The yardstick gets the same load at the same time of day, so that a reader sees what of the waits is the machine's.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import processes, world
from bench.ingest import Ingest, Ingesting, make_zip
from bench.known_devices import make_known
from bench.machine import fsync_ms
from bench.numbers import percentile
from bench.open_load import Plan, Run, Sent
from bench.processes import Server

RATE = 1_000.0
DEVICES = 100_000
EVENT_SHARE = 0.05
WARM_UP_SECONDS = 3.0
"""Not counted: the first requests of a server."""

BUDGET_MS = 10.0
PERCENTS = (50.0, 99.0, 99.9, 100.0)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Waits:
    """What came of one run. Times in milliseconds, by percentile as in `PERCENTS`.

    `late` is how late the load itself was: it is part of the waits. `ingests` are the seconds that each upload took.
    """

    name: str
    requests: int
    errors: int
    dropped: int
    all: tuple[float, ...]
    checks: tuple[float, ...]
    events: tuple[float, ...]
    late: tuple[float, ...]
    cpu_us: float
    fsync: dict[str, float]
    ingests: tuple[float, ...] = ()
    has_budget: bool = True

    @property
    def p99(self) -> float:
        return self.all[PERCENTS.index(99.0)]


def run(folder: Path, seconds: float, zips: int, say: Say) -> tuple[Waits, ...]:
    """Measure everything; the server's data and `zips` zips go into `folder`."""
    say(f"waits: a server that knows {DEVICES:,} devices, and {zips} zips of 50 MB")
    data_dir = folder / "data"
    api_key = world.make_world(data_dir)
    make_known(data_dir, world.up_to_date(), DEVICES)
    paths = [folder / f"{number}.zip" for number in range(2 * zips)]
    for number, path in enumerate(paths):
        make_zip(path, number)

    def during_ingests(some: Sequence[Path]) -> Ingesting:
        return Ingesting(server.port, api_key, world.ZIP_APP, some)

    with processes.baseline() as yardstick, processes.capstan(data_dir) as server:
        measure = _Measure(data_dir, seconds, say)
        return (
            measure("yardstick", yardstick, None, has_budget=False),
            measure("Capstan", server, None),
            measure("yardstick, while Capstan ingests", yardstick, during_ingests(paths[:zips]), has_budget=False),
            measure("Capstan, while it ingests", server, during_ingests(paths[zips:])),
        )


class _Measure:
    def __init__(self, data_dir: Path, seconds: float, say: Say) -> None:
        self._data_dir = data_dir
        self._seconds = seconds
        self._say = say
        self._seed = 0

    def __call__(self, name: str, server: Server, ingesting: Ingesting | None, *, has_budget: bool = True) -> Waits:
        self._say(f"waits: {name}, {RATE:,.0f} requests a second for {self._seconds:.0f} seconds")
        fsync = fsync_ms(self._data_dir)
        self._seed += 1
        plan = Plan(server.port, RATE, WARM_UP_SECONDS + self._seconds, DEVICES, EVENT_SHARE, self._seed)
        cpu = server.cpu_seconds
        load = subprocess.Popen(
            (sys.executable, "-m", "bench.open_load"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        with load:
            assert load.stdin is not None, "the input is a pipe"
            load.stdin.write(msgspec.json.encode(plan))
            load.stdin.close()
            time.sleep(WARM_UP_SECONDS)
            with ingesting if ingesting is not None else nullcontext():
                assert load.stdout is not None, "the output is a pipe"
                said = load.stdout.read()
        if load.returncode:
            raise RuntimeError("the load ended badly; what it said is above")
        made = msgspec.json.decode(said, type=Run)
        server.settle()
        return _waits(
            name, made, ingesting.done if ingesting is not None else None, server.cpu_seconds - cpu, fsync, has_budget
        )


def _waits(
    name: str,
    made: Run,
    ingests: Sequence[Ingest] | None,
    cpu_seconds: float,
    fsync: dict[str, float],
    has_budget: bool,
) -> Waits:
    begin = min(one.due for one in made.sent) + WARM_UP_SECONDS

    def counts(due: float) -> bool:
        return due >= begin and (ingests is None or any(one.began <= due <= one.ended for one in ingests))

    counted = [one for one in made.sent if counts(one.due)]
    if not counted:
        raise RuntimeError("no request was sent while the budget was measured")
    failed_ingests = sum(one.status != 200 for one in ingests or ())
    return Waits(
        name=name,
        requests=len(counted),
        errors=sum(one.status != 200 for one in counted) + failed_ingests,
        dropped=sum(map(counts, made.dropped)),
        all=_percentiles(counted),
        checks=_percentiles([one for one in counted if not one.is_event]),
        events=_percentiles([one for one in counted if one.is_event]),
        late=_milliseconds([one.late for one in counted]),
        cpu_us=cpu_seconds / len(made.sent) * 1e6,
        fsync=fsync,
        ingests=tuple(round(one.ended - one.began, 1) for one in ingests or ()),
        has_budget=has_budget,
    )


def _percentiles(sent: Sequence[Sent]) -> tuple[float, ...]:
    return _milliseconds([one.wait for one in sent])


def _milliseconds(seconds: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(percentile(seconds, percent) * 1e3, 2) for percent in PERCENTS)
