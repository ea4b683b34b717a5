"""What does not work is said once in the log, and once when it works again, however many requests meet it between."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from structlog.typing import FilteringBoundLogger

QUIET_SECONDS = 2.0
"""How long nothing may have failed before it is said that all is well: a fault often leaves some things working."""


class Outage:
    """Whether something works, as its users find it. `clock` gives seconds.

    Used from any thread: at worst two say the same at once.
    """

    def __init__(
        self, log: FilteringBoundLogger, broken: str, mended: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._broken = broken
        self._mended = mended
        self._clock = clock
        self._lasts = False
        self._last_met = 0.0

    def met(self, error: object, **facts: Any) -> None:
        """It did not work."""
        self._last_met = self._clock()
        if not self._lasts:
            self._lasts = True
            self._log.error(self._broken, error=str(error).partition("\n")[0], **facts)

    def over(self, **facts: Any) -> None:
        """It worked; costs nothing if it did before."""
        if self._lasts and self._clock() - self._last_met > QUIET_SECONDS:
            self._lasts = False
            self._log.info(self._mended, **facts)
