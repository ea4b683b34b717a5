"""The rules of periodic jobs: who may run one, when it is due again, what is remembered of its runs.

A process that takes a job has it for `LEASE`, and longer as long as it says so. If it dies the job is somebody else's
from then on. All moments come in as arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from sqlalchemy import RowMapping

from capstan.db.session import ReadSession, WriteSession
from capstan.jobs import store
from capstan.jobs.job import Done, Job

LEASE = timedelta(seconds=30)
"""Short, because nobody watches over rollouts until the lease of a killed process has run out."""

RUNS_KEPT = 100

Outcome: TypeAlias = Literal["done", "stopped", "failed"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: `stopped` is one that had to end before its work did."""

    started_at: datetime
    ended_at: datetime
    outcome: Outcome
    done: Done


@dataclass(frozen=True, slots=True)
class LastRun:
    """What is known of a job. Moments and outcome are None before the first run has ended; `running` is now."""

    name: str
    due_at: datetime
    running: bool
    started_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    failures: int
    detail: dict[str, Any]


def announce(session: WriteSession, jobs: Collection[Job], now: datetime) -> None:
    """See to it that each job has a row, and is not due later than its schedule says now."""
    known = store.due_at(session, [job.name for job in jobs])
    for job in jobs:
        due = job.schedule.next_after(now)
        if job.name not in known:
            store.add(session, job.name, due)
        elif known[job.name] > due:
            store.bring_forward(session, job.name, due)


def waiting(session: ReadSession, names: Collection[str], now: datetime) -> list[str]:
    """The names of the jobs that are due and that nobody has in hand."""
    return store.free_and_due(session, names, now)


def next_due(session: ReadSession, names: Collection[str]) -> datetime | None:
    """When there will be something to do again, as far as it is known."""
    return store.soonest(session, names)


def take(session: WriteSession, name: str, owner: str, now: datetime) -> datetime | None:
    """Take a job that waits; until when it is the owner's, or None if somebody else was faster."""
    until = now + LEASE
    return until if store.take(session, name, now, owner, until) else None


def renew(session: WriteSession, names: Collection[str], owner: str, now: datetime) -> dict[str, datetime]:
    """Keep jobs for longer; until when each is the owner's, without those that are so no more."""
    until = now + LEASE
    return dict.fromkeys(store.renew(session, names, owner, until), until)


def finish(session: WriteSession, job: Job, owner: str, ended: Ended) -> bool:
    """Note a run and let go of the job; False, and nothing is noted, if it has been somebody else's meanwhile."""
    failures = store.failures(session, job.name) + 1 if ended.outcome == "failed" else 0
    values = {
        "due_at": _due_again(job, ended, failures),
        "started_at": ended.started_at,
        "ended_at": ended.ended_at,
        "outcome": ended.outcome,
        "detail": dict(ended.done.detail),
        "failures": failures,
    }
    if not store.put_down(session, job.name, owner, values):
        return False
    if ended.done.notable:
        told = ("started_at", "ended_at", "outcome", "detail")
        store.add_run(session, {"name": job.name, **{name: values[name] for name in told}})
        store.trim_runs(session, job.name, RUNS_KEPT)
    return True


def last_runs(session: ReadSession) -> list[LastRun]:
    """Every job by name, with the run that ended last."""
    return [_last_run(row, session.now) for row in store.all_jobs(session)]


def history(session: ReadSession, name: str, limit: int = RUNS_KEPT) -> Sequence[RowMapping]:
    """The last runs of a job that were worth telling, newest first."""
    return store.runs_of(session, name, limit)


def _due_again(job: Job, ended: Ended, failures: int) -> datetime:
    if ended.outcome == "stopped":
        return ended.ended_at
    if failures:
        return job.schedule.retry_after(ended.ended_at, failures)
    return job.schedule.next_after(ended.ended_at)


def _last_run(row: RowMapping, now: datetime) -> LastRun:
    return LastRun(
        name=row["name"],
        due_at=row["due_at"],
        running=row["lease_until"] is not None and row["lease_until"] >= now,
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        outcome=row["outcome"],
        failures=row["failures"],
        detail=row["detail"] or {},
    )
