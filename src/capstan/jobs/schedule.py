"""When a job is due: pure functions of moments, so that every node of a cluster comes to the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SHORTEST_PATIENCE = timedelta(minutes=1)
_LONGEST_PATIENCE = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """Due each `every`, at moments that all clocks agree on: multiples of it since 1970 (UTC), moved by `offset`."""

    every: timedelta
    offset: timedelta = timedelta()

    def next_after(self, moment: datetime) -> datetime:
        """The first due moment later than `moment`. Moments that were slept through are not made up for."""
        passed = (moment - _EPOCH - self.offset) // self.every
        return _EPOCH + self.offset + (passed + 1) * self.every

    def retry_after(self, moment: datetime, failures: int) -> datetime:
        """When to try again after so many failed runs in a row (1 or more).

        The pauses double from a minute, or `every` if that is shorter, up to an hour; a job that is due more often
        than hourly never waits longer than it does between two runs, or a minute.
        """
        longest = min(max(self.every, _SHORTEST_PATIENCE), _LONGEST_PATIENCE)
        shortest = min(self.every, _SHORTEST_PATIENCE)
        # 2**12 minutes are far beyond any pause.
        doublings = min(failures - 1, 12)
        return moment + min(shortest * (1 << doublings), longest)


def daily(hour: int, minute: int = 0) -> Schedule:
    """Once a day at this time (UTC)."""
    return Schedule(timedelta(days=1), timedelta(hours=hour, minutes=minute))
