"""Runs for jobs that a test calls itself, and a clock that moves when the test says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Clock:
    """Aware UTC moments; starts at the present second, because the registry stamps rows with the real time."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC).replace(microsecond=0)

    def __call__(self) -> datetime:
        return self.now

    def pass_time(self, **lengths: float) -> None:
        self.now += timedelta(**lengths)


class FreeRun:
    """A run with time for so many slices of work, endlessly many if nothing is said."""

    def __init__(self, now: datetime | None = None, slices: int = 10**9) -> None:
        self.now = now or datetime.now(UTC)
        self._slices = slices

    def goes_on(self) -> bool:
        self._slices -= 1
        return self._slices >= 0
