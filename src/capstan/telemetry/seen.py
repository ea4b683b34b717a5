"""What this process wrote last for each device, as fingerprints: so that the same again need not be written.

A fixed table: it forgets whatever does not fit, starts empty, and is emptied when a batch could not be committed. One
slot a device, so a device that changed back is seen to have changed. Repeats within an hour are counted and handed back
with the next hour's contact.
"""

from __future__ import annotations

from array import array

SLOTS = 1 << 21
_MASK = SLOTS - 1
_FINGERPRINT = (1 << 64) - 1
_MOST_REPEATS = 0xFFFF
_HOURS = 0xFFFF
"""Epoch hours are kept in 16 bits, which tell hours apart for seven years."""


class SeenTable:
    """2,097,152 slots: 16 MB of 64-bit fingerprints, with a day, an hour and a count beside each: 32 MB in all."""

    def __init__(self) -> None:
        self._fingerprints = array("Q", bytes(8 * SLOTS))
        self._days = array("I", bytes(4 * SLOTS))
        self._hours = array("H", bytes(2 * SLOTS))
        self._repeats = array("H", bytes(2 * SLOTS))

    def is_repeat(self, device: int, state: int, hour: int) -> bool:
        """Whether this device (a hash) was in this state (a hash) within this epoch hour; if so it is counted."""
        slot = device & _MASK
        if self._fingerprints[slot] != state & _FINGERPRINT or self._hours[slot] != hour & _HOURS:
            return False
        if self._repeats[slot] < _MOST_REPEATS:
            self._repeats[slot] += 1
        return True

    def remember(self, device: int, state: int, hour: int) -> tuple[int, int] | None:
        """Note what is written now. If the state is the same as in an earlier hour: that hour and its repeats."""
        slot = device & _MASK
        owed = None
        hours_ago = (hour - self._hours[slot]) & _HOURS
        if self._fingerprints[slot] == state & _FINGERPRINT and self._repeats[slot] and hours_ago:
            owed = hour - hours_ago, self._repeats[slot]
        self._fingerprints[slot] = state & _FINGERPRINT
        self._hours[slot] = hour & _HOURS
        self._repeats[slot] = 0
        return owed

    def forget(self, device: int) -> None:
        """The device did something else; its next contact is written whatever it says."""
        slot = device & _MASK
        self._fingerprints[slot] = 0
        self._hours[slot] = 0
        self._repeats[slot] = 0

    def is_active(self, device: int, day: int) -> bool:
        """Whether this day's first-seen rows of this device (both hashes) are known to be written; notes it if not."""
        slot = device & _MASK
        mark = day & 0xFFFFFFFF
        if self._days[slot] == mark:
            return True
        self._days[slot] = mark
        return False
