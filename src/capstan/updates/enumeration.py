"""The guard against guessing app ids: too many unknown ones from an address silence it (contract: device 1.7)."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

WINDOW_SECONDS = 15 * 60
MAX_ADDRESSES = 20_000

V = TypeVar("V")


class EnumerationGuard:
    """Counts distinct unknown app ids of each address. A limit of 0 switches it off; an unknown address is let be."""

    def __init__(self, limit: int, secret: bytes, clock: Callable[[], float]) -> None:
        self._limit = limit
        self._secret = secret
        self._clock = clock
        self._misses: OrderedDict[str, dict[int, float]] = OrderedDict()
        self._limited_until: OrderedDict[str, float] = OrderedDict()

    @property
    def is_active(self) -> bool:
        """Whether any address is, or was lately, limited."""
        return bool(self._limited_until)

    def is_limited(self, address: str | None) -> bool:
        """Whether this address gets the short refusal, whatever it asks for."""
        if address is None:
            return False
        return self._limited_until.get(address, 0.0) > self._clock()

    def miss(self, address: str | None, app_id: str) -> bool:
        """Note that this address asked for an app that does not exist; whether it is limited from now on."""
        if address is None or not self._limit:
            return False
        if self.is_limited(address):
            return True
        now = self._clock()
        slots = self._misses.pop(address, {})
        slots = {slot: until for slot, until in slots.items() if until > now}
        slots[self._slot(app_id)] = now + WINDOW_SECONDS
        _put(self._misses, address, slots)
        if len(slots) < self._limit:
            return False
        _put(self._limited_until, address, now + WINDOW_SECONDS)
        return True

    def _slot(self, app_id: str) -> int:
        digest = hmac.new(self._secret, app_id.strip().lower().encode(), hashlib.sha256).hexdigest()
        return int(digest[:8], 16) % (4 * self._limit)


def _put(table: OrderedDict[str, V], address: str, value: V) -> None:
    table[address] = value
    if len(table) > MAX_ADDRESSES:
        table.popitem(last=False)
