"""The rate limits of channel calls, counted in this process (contract: device 3.3 steps 3 and 6).

A refused call is not counted. Windows are kept by a hash of what they are for, because apps and channels have names of
any length here: nothing is known about them yet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from capstan.updates.answers import DeviceAnswer, refused
from capstan.updates.body import Refusal
from capstan.updates.channel_self.call import ChannelCall
from capstan.web.answers import retry_headers
from capstan.web.rate_limits import WindowLimit, too_many_requests

OPERATIONS_A_SECOND = 5
SAME_CHANNEL_SECONDS = 60


class ChannelCallLimits:
    """`for_each_address`: a minute's calls of one address for one app, 0 for any number. `clock` in epoch seconds."""

    def __init__(self, for_each_address: int, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._addresses = WindowLimit(for_each_address, 60, clock)
        self._operations = WindowLimit(OPERATIONS_A_SECOND, 1, clock)
        self._sets = WindowLimit(1, SAME_CHANNEL_SECONDS, clock)

    def refuse_address(self, call: ChannelCall, address: str | None) -> DeviceAnswer | None:
        """The refusal if this address has asked for this app too often; an unknown address is let be."""
        if address is None:
            return None
        until = self._addresses.blocked_until(hash((call.app_id, address)))
        return self._refusal(until, reason="ip_rate_limit_exceeded", app_id=call.app_id)

    def take(self, call: ChannelCall, address: str | None) -> DeviceAnswer | None:
        """Count a call, or refuse it: the device does the same thing too often, or chooses the same channel again."""
        windows = self._windows(call)
        for limit, key in windows:
            until = limit.blocked_until(key)
            if until is not None:
                return self._refusal(until, app_id=call.app_id, device_id=call.device_id)
        if address is not None:
            windows.append((self._addresses, hash((call.app_id, address))))
        for limit, key in windows:
            limit.hit(key)
        return None

    def _windows(self, call: ChannelCall) -> list[tuple[WindowLimit, int]]:
        if not call.device_id:
            return []
        windows = [(self._operations, hash((call.app_id, call.device_id, call.operation)))]
        if call.operation == "set":
            windows.append((self._sets, hash((call.app_id, call.device_id, call.channel))))
        return windows

    def _refusal(self, until: float | None, **facts: Any) -> DeviceAnswer | None:
        if until is None:
            return None
        problem = too_many_requests(until, self._clock(), **facts)
        answer = refused(Refusal(problem.status, problem.code, problem.message, problem.more))
        headers = retry_headers(problem.more)
        return answer._replace(retry=tuple((name.encode(), value.encode()) for name, value in headers.items()))
