"""Rate limits, counted in this process only, in fixed windows and bounded memory (contract: public 6, device 3.3)."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Hashable
from typing import Any

from capstan.errors import Problem

MAX_KEYS = 100_000


class WindowLimit:
    """At most `limit` hits for each key within `seconds` from its first hit; a limit of 0 never refuses.

    When more keys are seen than fit, the oldest windows are forgotten: a limiter fails open. Safe to use from several
    threads.
    """

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float]) -> None:
        self.limit = limit
        self.seconds = seconds
        self._clock = clock
        self._windows: dict[Hashable, tuple[float, int]] = {}
        self._lock = threading.Lock()

    def hit(self, key: Hashable) -> float | None:
        """Count one hit; the moment (epoch seconds) when the window ends if it is one too many, else None."""
        now = self._clock()
        with self._lock:
            until, count = self._window(key, now)
            self._put(key, (until, count + 1))
        return until if self.limit and count >= self.limit else None

    def blocked_until(self, key: Hashable) -> float | None:
        """As `hit`, without counting."""
        now = self._clock()
        until, count = self._window(key, now)
        return until if self.limit and count >= self.limit else None

    def restart(self, key: Hashable) -> None:
        """Count one hit and let the window begin anew from now."""
        now = self._clock()
        with self._lock:
            _, count = self._window(key, now)
            self._put(key, (now + self.seconds, count + 1))

    def _window(self, key: Hashable, now: float) -> tuple[float, int]:
        window = self._windows.get(key)
        return window if window is not None and window[0] > now else (now + self.seconds, 0)

    def _put(self, key: Hashable, window: tuple[float, int]) -> None:
        self._windows.pop(key, None)
        if len(self._windows) >= MAX_KEYS:
            for oldest in list(self._windows)[: MAX_KEYS // 10]:
                del self._windows[oldest]
        self._windows[key] = window


def too_many_requests(until: float, now: float, **facts: Any) -> Problem:
    """The 429 of every limiter; `until` and `now` are epoch seconds."""
    facts["rateLimitResetAt"] = math.ceil(until * 1000)
    facts["retryAfterSeconds"] = max(1, math.ceil(until - now))
    return Problem("too_many_requests", "Too many requests", status=429, more=facts)
