"""The rate limits of /device, beyond those of every API key (contract: public 6, CD-8)."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from capstan.web.rate_limits import WindowLimit, too_many_requests

Operation = Literal["get", "set", "delete"]

OPERATIONS_A_SECOND = 5
IDENTICAL_SET_SECONDS = 60


class DeviceLimits:
    """Counts requests of one process. `for_each_address` is a minute's requests of one address for one app, 0 for any
    number; `refuse_identical_sets` whether a device may be given the same channel only once a minute.

    What is counted is kept by its hash: the names in requests may be as long as a body, and would fill the memory.
    """

    def __init__(
        self, for_each_address: int, *, refuse_identical_sets: bool, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._addresses = WindowLimit(for_each_address, 60, clock)
        self._operations = WindowLimit(OPERATIONS_A_SECOND, 1, clock)
        self._sets = WindowLimit(1 if refuse_identical_sets else 0, IDENTICAL_SET_SECONDS, clock)

    def count(self, operation: Operation, app_id: str | None, device_id: str | None, address: str | None) -> None:
        """Count a request, whatever comes of it. Raises Problem `too_many_requests`."""
        until = self._addresses.hit(hash((app_id, address))) if address is not None else None
        if until is not None:
            raise too_many_requests(until, self._clock(), reason="ip_rate_limit_exceeded", app_id=app_id)
        if app_id and device_id:
            self._refuse(self._operations.hit(hash((app_id, device_id, operation))), app_id, device_id)

    def count_set(self, app_id: str, device_id: str, channel: str) -> None:
        """Count that a device is given a channel, even if that fails. Raises Problem `too_many_requests`."""
        self._refuse(self._sets.hit(hash((app_id, device_id, channel))), app_id, device_id)

    def _refuse(self, until: float | None, app_id: str, device_id: str) -> None:
        if until is not None:
            raise too_many_requests(until, self._clock(), app_id=app_id, device_id=device_id)
