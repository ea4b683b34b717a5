"""SQL of periodic jobs and their history."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import job_runs, jobs


def due_at(session: ReadSession, names: Collection[str]) -> dict[str, datetime]:
    """When each of these jobs is due, as far as it is known at all."""
    rows = session.rows(select(jobs.c.name, jobs.c.due_at).where(jobs.c.name.in_(names)))
    return {row["name"]: row["due_at"] for row in rows}


def free_and_due(session: ReadSession, names: Collection[str], now: datetime) -> list[str]:
    """Those of the jobs that wait for somebody, the longest waiting first."""
    waiting = select(jobs.c.name).where(jobs.c.name.in_(names), _free_and_due(now))
    return [row["name"] for row in session.rows(waiting.order_by(jobs.c.due_at, jobs.c.name))]


def soonest(session: ReadSession, names: Collection[str]) -> datetime | None:
    """When the next of the jobs is due that nobody has in hand."""
    free = select(func.min(jobs.c.due_at)).where(jobs.c.name.in_(names), jobs.c.lease_owner.is_(None))
    moment: datetime | None = session.scalar(free)
    return moment


def add(session: WriteSession, name: str, due: datetime) -> None:
    """Make the row of a job, if it has none; whoever else does so at the same time."""
    session.run(insert_or_nothing(jobs).values(name=name, due_at=due).on_conflict_do_nothing())


def bring_forward(session: WriteSession, name: str, due: datetime) -> None:
    """Let a waiting job be due at the latest at this moment."""
    later = and_(jobs.c.name == name, jobs.c.due_at > due, jobs.c.lease_owner.is_(None))
    session.run(update(jobs).where(later).values(due_at=due))


def take(session: WriteSession, name: str, now: datetime, owner: str, until: datetime) -> bool:
    """Take a job in hand; False if it is not due any more, or somebody else has it or is just taking it."""
    mine = select(jobs.c.name).where(jobs.c.name == name, _free_and_due(now)).with_for_update(skip_locked=True)
    if session.first(mine) is None:
        return False
    lease = {"lease_owner": owner, "lease_until": until}
    return session.run(update(jobs).where(jobs.c.name == name).values(lease)) == 1


def renew(session: WriteSession, names: Collection[str], owner: str, until: datetime) -> set[str]:
    """Keep jobs in hand; those that somebody else has taken meanwhile are missing from the result."""
    held = update(jobs).where(jobs.c.name.in_(names), jobs.c.lease_owner == owner).values(lease_until=until)
    return {row["name"] for row in session.rows(held.returning(jobs.c.name))}


def failures(session: ReadSession, name: str) -> int:
    """How many runs have failed in a row."""
    count: int = session.scalar(select(jobs.c.failures).where(jobs.c.name == name))
    return count


def put_down(session: WriteSession, name: str, owner: str, values: dict[str, Any]) -> bool:
    """Note how a run ended and let go of the job; False if somebody else has taken it meanwhile."""
    mine = and_(jobs.c.name == name, jobs.c.lease_owner == owner)
    return session.run(update(jobs).where(mine).values(lease_owner=None, lease_until=None, **values)) == 1


def add_run(session: WriteSession, values: dict[str, Any]) -> None:
    session.run(insert(job_runs).values(values))


def trim_runs(session: WriteSession, name: str, keep: int) -> None:
    """Forget all runs of a job but the last ones."""
    last = select(job_runs.c.id).where(job_runs.c.name == name).order_by(job_runs.c.id.desc()).offset(keep).limit(1)
    newest_to_go = session.scalar(last)
    if newest_to_go is not None:
        session.run(delete(job_runs).where(job_runs.c.name == name, job_runs.c.id <= newest_to_go))


def all_jobs(session: ReadSession) -> Sequence[RowMapping]:
    return session.rows(select(jobs).order_by(jobs.c.name))


def runs_of(session: ReadSession, name: str, limit: int) -> Sequence[RowMapping]:
    """The last runs in the history of a job, newest first."""
    return session.rows(select(job_runs).where(job_runs.c.name == name).order_by(job_runs.c.id.desc()).limit(limit))


def _free_and_due(now: datetime) -> ColumnElement[bool]:
    return and_(jobs.c.due_at <= now, or_(jobs.c.lease_owner.is_(None), jobs.c.lease_until < now))
