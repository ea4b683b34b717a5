"""What a periodic job is, and what it may ask of whoever runs it.

A job may be run twice: by another process when the first one was taken for dead, and again after it was stopped or
killed half-way. So it works in slices, each of which is a transaction that leaves everything right, and asks between
two slices whether to go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol, TypeAlias

from capstan.jobs.schedule import Schedule

Detail: TypeAlias = Mapping[str, int | str | list[str]]
"""What a run tells about itself: counts and a few names, small enough for a row."""


class Run(Protocol):
    """One run, as the job sees it."""

    @property
    def now(self) -> datetime:
        """The moment at which the run began (aware UTC)."""

    def goes_on(self) -> bool:
        """Give way to others for a moment; then, whether there is time for another slice of work."""


@dataclass(frozen=True, slots=True)
class Done:
    """How a run ended. One that is not `notable` is only remembered as the last run, not in the history."""

    detail: Detail
    notable: bool = True


@dataclass(frozen=True, slots=True)
class Job:
    """Work that is done again and again, once in the whole cluster. `name` is for ever: the job's row has it."""

    name: str
    schedule: Schedule
    work: Callable[[Run], Done]
