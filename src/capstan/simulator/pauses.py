"""What a 429 does to a device's later calls (contract: device 7.4)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from capstan.simulator.answers import Reply
from capstan.simulator.releases import After429, Release

LONGEST_BLOCK = 24 * 3600.0


class Pause:
    """Remembers the 429s a device saw. Times are epoch seconds, durations seconds."""

    def __init__(self, release: Release) -> None:
        self._after = release.after_429
        self._silent = False
        self._until = 0.0

    def heard(self, reply: Reply | None, now: float) -> bool:
        """Take note of a reply; true when the device must report `rate_limit_reached` for it."""
        if reply is None or reply.status != 429:
            return False
        if self._after is After429.SILENT:
            self._silent = True
        if self._after is not After429.SHARED_BLOCK:
            return False
        self._until = max(self._until, now + hinted_wait(reply, now))
        return reply.fields.get("error") == "too_many_requests"

    def holds_checks(self, now: float) -> bool:
        return now < self._until

    def holds_calls(self, now: float) -> bool:
        """Whether stats and channel calls are held back."""
        return self._silent or now < self._until

    def wait(self, now: float) -> float:
        """Seconds until stats may go again: 0 is at once, infinity is not before a restart."""
        return math.inf if self._silent else max(0.0, self._until - now)

    def restart(self) -> None:
        """The app started anew: a silence ends, a block lasts until its time."""
        self._silent = False


def hinted_wait(reply: Reply, now: float) -> float:
    """Seconds a 429 asks to wait, at most a day; 0 without a hint."""
    more = reply.fields.get("moreInfo")
    places: tuple[Mapping[str, Any], ...] = (more if isinstance(more, dict) else {}, reply.fields)
    hints = [_number(reply.headers.get("retry-after"))]
    hints += [_number(place.get("retryAfterSeconds")) for place in places]
    resets = [_number(place.get("rateLimitResetAt")) for place in places]
    hints += [None if reset is None else reset / 1000 - now for reset in resets]
    hint = next((hint for hint in hints if hint is not None), 0.0)
    return min(max(hint, 0.0), LONGEST_BLOCK)


def _number(value: object) -> float | None:
    """A JSON number or decimal text; None for anything else, an HTTP date among it."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
