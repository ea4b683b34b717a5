"""The one loop of a process that does periodic work: takes jobs that are due, runs them on threads, notes how it went.

Every process of a cluster has one, and the database decides who runs what: a job is run by one of them, and by another
when that one dies (see `service`). Jobs of one lane run one after another, so that what must be prompt does not wait
for what takes long, and no more threads work at the same time than there are lanes.
"""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeAlias

import structlog

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry
from capstan.jobs import service
from capstan.jobs.job import Done, Job
from capstan.outages import Outage

log = structlog.get_logger(__name__)

LOOK_EVERY = timedelta(seconds=5)
"""How long a job may be due before a process looks for work again."""

RENEW_EVERY = service.LEASE / 3
BREATH_SECONDS = 0.01
_SHORTEST_PAUSE = timedelta(seconds=0.1)
_MAX_ERROR = 300

Clock: TypeAlias = Callable[[], datetime]
"""Gives aware UTC moments."""


def system_clock() -> datetime:
    return datetime.now(UTC)


class ActiveRun:
    """A job in hand: what `jobs.job.Run` promises, ended by the server's stop or by the loss of the lease."""

    def __init__(self, now: datetime, mine_until: datetime, clock: Clock, stopping: threading.Event) -> None:
        self.now = now
        self.mine_until = mine_until
        self.was_cut = False
        self._clock = clock
        self._stopping = stopping

    def goes_on(self) -> bool:
        self.was_cut = self.was_cut or self._stopping.wait(BREATH_SECONDS) or self._clock() >= self.mine_until
        return not self.was_cut


class Lane:
    """Jobs that are run one after another. Used by one thread, but for `renew`."""

    def __init__(
        self, registry: Registry, jobs: Sequence[Job], owner: str, clock: Clock, stopping: threading.Event
    ) -> None:
        self._registry = registry
        self._jobs = {job.name: job for job in jobs}
        self._owner = owner
        self._clock = clock
        self._stopping = stopping
        self._announced = False
        self._in_hand: tuple[str, ActiveRun] | None = None
        self._failing: set[str] = set()

    def work_through(self) -> None:
        """Run every job that is due and that nobody has in hand."""
        if not self._announced:
            with self._registry.write(SystemPrincipal("announcing jobs")) as session:
                service.announce(session, self._jobs.values(), self._clock())
            self._announced = True
        with self._registry.read() as session:
            waiting = service.waiting(session, self._jobs.keys(), self._clock())
        for name in waiting:
            if self._stopping.is_set():
                return
            self._run_if_free(self._jobs[name])

    def pause(self) -> float:
        """Seconds until it makes sense to look for work again."""
        with self._registry.read() as session:
            due = service.next_due(session, self._jobs.keys())
        wait = LOOK_EVERY if due is None else min(max(due - self._clock(), _SHORTEST_PAUSE), LOOK_EVERY)
        return wait.total_seconds()

    def renew(self) -> None:
        """Keep the job in hand, if there is one; called by another thread while the job runs."""
        in_hand = self._in_hand
        if in_hand is None:
            return
        name, run = in_hand
        with self._registry.write(SystemPrincipal("renewing a lease")) as session:
            held = service.renew(session, [name], self._owner, self._clock())
        run.mine_until = held.get(name, run.now)

    def _run_if_free(self, job: Job) -> None:
        now = self._clock()
        with self._registry.write(SystemPrincipal("taking a job")) as session:
            until = service.take(session, job.name, self._owner, now)
        if until is None:
            return
        run = ActiveRun(now, until, self._clock, self._stopping)
        self._in_hand = job.name, run
        try:
            outcome, done = self._result(job, run)
        finally:
            self._in_hand = None
        ended = service.Ended(now, self._clock(), outcome, done)
        with self._registry.write(SystemPrincipal("noting a run")) as session:
            noted = service.finish(session, job, self._owner, ended)
        if not noted:
            log.warning("a job took longer than it was this process's", job=job.name)

    def _result(self, job: Job, run: ActiveRun) -> tuple[service.Outcome, Done]:
        try:
            done = job.work(run)
        except Exception as error:
            if job.name not in self._failing:
                self._failing.add(job.name)
                log.exception("a job failed", job=job.name)
            return "failed", Done({"error": f"{type(error).__name__}: {error}".partition("\n")[0][:_MAX_ERROR]})
        if job.name in self._failing:
            self._failing.remove(job.name)
            log.info("a job runs well again", job=job.name)
        if done.notable:
            log.info("a job has run", job=job.name, detail=dict(done.detail))
        return ("stopped" if run.was_cut else "done"), done


class JobLoop:
    """The threads of a process: one for each lane, and one that keeps what they have in hand."""

    def __init__(self, registry: Registry, lanes: Sequence[Sequence[Job]], clock: Clock = system_clock) -> None:
        self._stopping = threading.Event()
        self._outage = Outage(log, "jobs cannot be looked after", "jobs are looked after again")
        owner = uuid.uuid4().hex
        self._lanes = [Lane(registry, jobs, owner, clock, self._stopping) for jobs in lanes]
        self._threads = [
            threading.Thread(target=self._work, args=(lane,), name=f"jobs-{number}", daemon=True)
            for number, lane in enumerate(self._lanes)
        ]
        self._threads.append(threading.Thread(target=self._keep, name="jobs-leases", daemon=True))

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    async def stop(self) -> None:
        """Take no more jobs, and return once those in hand have ended their slice of work."""
        self._stopping.set()
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    def _work(self, lane: Lane) -> None:
        while not self._stopping.is_set():
            pause = LOOK_EVERY.total_seconds()
            try:
                lane.work_through()
                pause = lane.pause()
            except Exception as error:  # the database is away: the thread must live on
                self._outage.met(error)
            else:
                self._outage.over()
            self._stopping.wait(pause)

    def _keep(self) -> None:
        while not self._stopping.wait(RENEW_EVERY.total_seconds()):
            for lane in self._lanes:
                try:
                    lane.renew()
                except Exception as error:  # the job ends by itself when its lease has run out
                    log.warning("a job may be taken over", error=str(error).partition("\n")[0])
