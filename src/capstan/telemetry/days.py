"""UTC days as telemetry writes them, cheap enough for every request."""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def utc_day(moment_ms: int) -> str:
    """The UTC date of an epoch millisecond, as ISO text."""
    return _day(moment_ms // DAY_MS)


def first_of_month(day: str) -> str:
    """The first day of an ISO date's month: a device is counted once a calendar month (contract: device 5.2)."""
    return f"{day[:8]}01"


@lru_cache(maxsize=64)
def _day(number: int) -> str:
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()
