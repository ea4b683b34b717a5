"""The jobs that clean up, as a server runs them: all of them on a fresh server, and the leftovers of crashed ones."""

from __future__ import annotations

import os
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capstan.files.incoming import Incoming
from capstan.files.objects import open_objects
from capstan.jobs.loop import Lane
from capstan.jobs.service import last_runs
from capstan.retention.jobs import Kept, remove_leftovers, upkeep_jobs
from capstan.retention.limits import limits_of
from capstan.settings import load
from tests.jobs.runs import Clock, FreeRun
from tests.public_api.world import World


@pytest.fixture
def kept(world: World, tmp_path: Path) -> Kept:
    limits = limits_of(load({"data_dir": str(tmp_path)}, {}))
    incoming = Incoming(tmp_path / "incoming", 1000)
    return Kept(world.registry, world.telemetry, open_objects(tmp_path / "objects"), incoming, limits)


def test_every_job_runs_on_a_server_that_has_nothing_to_clean(kept: Kept) -> None:
    clock = Clock()
    lane = Lane(kept.registry, upkeep_jobs(kept), "0" * 32, clock, threading.Event())
    lane.work_through()
    clock.pass_time(days=1)
    lane.work_through()
    with kept.registry.read() as session:
        runs = last_runs(session)
    assert len(runs) == len(upkeep_jobs(kept))
    assert {run.outcome for run in runs} == {"done"}


def test_the_defaults_of_the_settings_are_the_contracts() -> None:
    limits = limits_of(load({}, {}))
    assert limits.keep_running_days == 30
    assert limits.events == limits.devices == limits.overrides == limits.audit == timedelta(days=90)
    assert limits.failures == timedelta(days=7)


def test_what_crashed_servers_left_half_written_is_removed_after_a_day(kept: Kept, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    for folder in (tmp_path / "incoming", tmp_path / "objects" / "staging"):
        folder.mkdir(parents=True, exist_ok=True)
        for name, age in (("old", 25), ("young", 23)):
            left = folder / name
            left.mkdir() if folder.name == "staging" else left.write_bytes(b"half")
            moment = (now - timedelta(hours=age)).timestamp()
            os.utime(left, (moment, moment))
    done = remove_leftovers(kept, FreeRun(now))
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == ["young"]
    assert [path.name for path in (tmp_path / "objects" / "staging").iterdir()] == ["young"]
    assert (done.detail, done.notable) == ({"upload_pieces": 0}, False)
