"""The threads of a process: lanes do not wait for each other, a stop is graceful, and a killed process is replaced."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry
from capstan.jobs import loop as jobs_loop
from capstan.jobs import service
from capstan.jobs.job import Done, Job, Run
from capstan.jobs.loop import JobLoop, Lane
from capstan.jobs.schedule import Schedule
from tests.databases import Databases
from tests.jobs.runs import Clock

PATIENCE_SECONDS = 30
HOURLY = Schedule(timedelta(hours=1))


def due_now(registry: Registry, jobs: Sequence[Job], clock: Clock) -> None:
    """Have the jobs known, and due."""
    with registry.write(SystemPrincipal("test")) as session:
        service.announce(session, jobs, clock())
    clock.pass_time(hours=1)


def outcomes(registry: Registry) -> dict[str, str | None]:
    with registry.read() as session:
        return {run.name: run.outcome for run in service.last_runs(session)}


def test_what_takes_long_does_not_hold_up_what_must_be_prompt(registry: Registry) -> None:
    clock, long_started, prompt_ran = Clock(), threading.Event(), threading.Event()

    def take_long(_run: Run) -> Done:
        long_started.set()
        return Done({"prompt_ran_meanwhile": int(prompt_ran.wait(PATIENCE_SECONDS))})

    def be_prompt(_run: Run) -> Done:
        assert long_started.wait(PATIENCE_SECONDS)
        prompt_ran.set()
        return Done({})

    jobs = [Job("long", HOURLY, take_long), Job("prompt", HOURLY, be_prompt)]
    due_now(registry, jobs, clock)
    loop = JobLoop(registry, [[job] for job in jobs], clock)
    loop.start()
    assert prompt_ran.wait(PATIENCE_SECONDS)
    asyncio.run(loop.stop())
    with registry.read() as session:
        details = {run.name: run.detail for run in service.last_runs(session)}
    assert details["long"] == {"prompt_ran_meanwhile": 1}


def test_a_stop_waits_for_the_slice_in_hand_and_lets_go_of_the_job(registry: Registry) -> None:
    clock, started = Clock(), threading.Event()

    def work_in_slices(run: Run) -> Done:
        started.set()
        slices = 0
        while run.goes_on():
            slices += 1
        return Done({"slices": slices})

    endless = Job("endless", HOURLY, work_in_slices)
    due_now(registry, [endless], clock)
    loop = JobLoop(registry, [[endless]], clock)
    loop.start()
    assert started.wait(PATIENCE_SECONDS)
    asyncio.run(loop.stop())
    assert outcomes(registry) == {"endless": "stopped"}
    with registry.read() as session:
        assert service.waiting(session, ["endless"], clock()) == ["endless"]


def test_a_stop_without_anything_to_do_is_quick_and_quiet(registry: Registry) -> None:
    loop = JobLoop(registry, [[Job("idle", HOURLY, lambda _run: Done({}))], []])
    loop.start()
    asyncio.run(loop.stop())
    assert set(outcomes(registry).values()) <= {None}


def test_a_database_that_is_away_for_a_while_does_not_end_the_loop(
    databases: Databases, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs_loop, "LOOK_EVERY", timedelta(seconds=0.01))
    clock, complained, ran = Clock(), threading.Event(), threading.Event()

    def work(_run: Run) -> Done:
        ran.set()
        return Done({})

    job = Job("steady", HOURLY, work)
    due_now(registry, [job], clock)
    rename(databases, "jobs", "jobs_away")
    monkeypatch.setattr(jobs_loop.log, "error", lambda *_words, **_facts: complained.set())
    loop = JobLoop(registry, [[job]], clock)
    loop.start()
    try:
        assert complained.wait(PATIENCE_SECONDS)
    finally:
        rename(databases, "jobs_away", "jobs")
    assert ran.wait(PATIENCE_SECONDS)
    asyncio.run(loop.stop())


def rename(databases: Databases, old: str, new: str) -> None:
    with databases.registry.begin() as connection:
        connection.execute(text(f"alter table {old} rename to {new}"))


def test_the_job_of_a_killed_process_goes_on_in_another_one(databases: Databases, registry: Registry) -> None:
    clock, ran = Clock(), threading.Event()

    def work(_run: Run) -> Done:
        ran.set()
        return Done({})

    job = Job("sweep", HOURLY, work)
    due_now(registry, [job], clock)
    url = databases.urls.registry
    victim = [sys.executable, str(Path(__file__).with_name("victim.py")), url, clock().isoformat()]
    with subprocess.Popen(victim, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "working\n"
        finally:
            process.kill()
    survivor = Lane(registry, [job], "1" * 32, clock, threading.Event())
    survivor.work_through()
    assert not ran.is_set()
    clock.pass_time(seconds=service.LEASE.total_seconds() + 1)
    survivor.work_through()
    assert ran.is_set()
    assert outcomes(registry) == {"sweep": "done"}
