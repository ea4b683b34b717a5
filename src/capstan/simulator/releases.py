"""What one release of the updater plugin can do, and how it takes a refusal (contract: device 7.1 to 7.6).

Features came to several majors at different minors, so each is a table of floors: the first release of that major that
has it. A major above the highest in the table has it; a major missing from the table has not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

Number = tuple[int, int, int]

LATE_BACKPORTS: Mapping[int, Number] = {5: (5, 50, 0), 6: (6, 50, 0), 7: (7, 50, 0)}

BATCHES = {**LATE_BACKPORTS, 8: (8, 42, 0)}
KIND = {5: (5, 50, 1), 6: (6, 50, 1), 7: (7, 50, 1), 8: (8, 45, 0)}
STATUS_DECIDES = {5: (5, 27, 0), 6: (6, 27, 0), 7: (7, 27, 0)}
BACKEND_REFUSAL = {6: (6, 14, 25), 7: (7, 17, 0)}
MANIFESTS = {5: (5, 50, 1), 6: (6, 3, 0), 7: (7, 0, 2)}
BROTLI = {5: (5, 50, 1), 6: (6, 14, 28), 7: (7, 0, 38)}
REVERTS = {6: (6, 2, 0), 7: (7, 0, 2)}
KEEPS_CHANNEL = {5: (5, 34, 0), 6: (6, 34, 0), 7: (7, 34, 0)}
SHARED_BLOCK: Number = (8, 51, 5)
SILENT: tuple[tuple[Number, Number], ...] = (
    ((5, 50, 0), (5, 51, 0)),
    ((6, 14, 28), (6, 50, 3)),
    ((7, 23, 8), (7, 50, 3)),
    ((8, 2, 0), SHARED_BLOCK),
)
"""Half-open ranges of releases that fall silent after a 429."""


class Refusals(Enum):
    """When a reply that is not an update makes the device send an event (contract: device 7.2)."""

    BY_KIND = "download_fail when `kind` is failed, absent or unknown"
    BY_STATUS = "download_fail when the status is not 2xx"
    BACKEND_REFUSAL = "backend_refusal"
    EVERY_ERROR = "download_fail, always"


class After429(Enum):
    """What a 429 does to later calls (contract: device 7.4)."""

    NOTHING = "a plain error"
    SILENT = "no stats and channel calls until the app restarts"
    SHARED_BLOCK = "no call at all until the hinted time"


@dataclass(frozen=True, slots=True)
class Release:
    """One version of the plugin; pre-release and build parts do not count here."""

    number: Number

    @staticmethod
    @lru_cache(maxsize=256)
    def parse(text: str) -> Release:
        """The release a `plugin_version` names; text without three numbers is 0.0.0, which can do nothing."""
        found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
        return Release((int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0))

    def has(self, floors: Mapping[int, Number]) -> bool:
        major = self.number[0]
        return self.number >= floors[major] if major in floors else major > max(floors)

    @property
    def batches(self) -> bool:
        """Events wait in a queue and go as one array; else each goes alone, once."""
        return self.has(BATCHES)

    @property
    def refusals(self) -> Refusals:
        if self.has(KIND):
            return Refusals.BY_KIND
        if self.has(STATUS_DECIDES):
            return Refusals.BY_STATUS
        return Refusals.BACKEND_REFUSAL if self.has(BACKEND_REFUSAL) else Refusals.EVERY_ERROR

    @property
    def after_429(self) -> After429:
        if self.number >= SHARED_BLOCK:
            return After429.SHARED_BLOCK
        silent = any(first <= self.number < end for first, end in SILENT)
        return After429.SILENT if silent else After429.NOTHING

    @property
    def reads_manifests(self) -> bool:
        return self.has(MANIFESTS)

    @property
    def reads_brotli(self) -> bool:
        return self.has(BROTLI)

    @property
    def reverts(self) -> bool:
        """A version of `builtin` sends the device back to its native bundle."""
        return self.has(REVERTS)

    @property
    def keeps_channel(self) -> bool:
        """A channel the device chose is kept on the device, not on the server (contract: device 3.2)."""
        return self.has(KEEPS_CHANNEL) or self.number[0] < 5

    @property
    def names_native_version(self) -> bool:
        """On the native bundle Android sends the native version instead of `builtin`."""
        return self.number >= (8, 0, 0)

    @property
    def sends_default_channel(self) -> bool:
        return self.number >= (5, 5, 0)

    @property
    def sends_old_version(self) -> bool:
        return self.number >= (5, 9, 0)

    @property
    def sends_metadata(self) -> bool:
        return self.number >= (8, 46, 0)

    @property
    def sends_install_source(self) -> bool:
        return self.number >= (8, 50, 0)

    @property
    def key_id_length(self) -> int:
        """Characters of the key id that are sent; 0 means none."""
        if self.number < (8, 2, 0):
            return 0
        return 4 if self.number <= (8, 40, 7) else 20
