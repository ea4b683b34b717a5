"""What can be wrong with a device or with the bundle it gets, for demos and tests that need failures on purpose."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Fault(Enum):
    """One way to go wrong with a bundle."""

    CORRUPT = "what is downloaded arrives damaged, so its checksum fails"
    FAILS_TO_SET = "the bundle cannot be applied: set_fail"
    FAILS_TO_BOOT = "the bundle is applied but never confirmed: update_fail and roll back"
    CRASHES = "the bundle boots, is confirmed, and then crashes: app_crash"


Temper = Callable[[str], Fault | None]
"""What a device does with the bundle of a given version."""


def healthy(_version: str) -> Fault | None:
    """Nothing goes wrong."""
    return None


def always(fault: Fault) -> Temper:
    """Every bundle meets the same fault."""
    return lambda _version: fault


def on_version(version: str, fault: Fault) -> Temper:
    """Only the bundle of this version meets the fault."""
    return lambda offered: fault if offered == version else None
