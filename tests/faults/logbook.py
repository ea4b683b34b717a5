"""What the server wrote into its log about a fault: each thing once, however many requests met it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias

from tests.faults.devices import Devices, is_well, until

COMPLAINTS = frozenset({"warning", "error", "critical", "exception"})

FAILED_JOB = "a job failed"

Lines: TypeAlias = Collection[Mapping[str, Any]]


def complaints(lines: Lines) -> Counter[str]:
    """How often each complaint stands in a log."""
    return Counter(line["event"] for line in lines if line["log_level"] in COMPLAINTS)


def check_said_once(devices: Devices, read: Callable[[], Lines], *expected: str) -> None:
    """After a fault: no complaint stands in the log twice, and these do; when all works, each is said to be over."""
    devices.until_all_is_well()
    until(lambda: _is_over(devices, read))
    counted = complaints(read())
    assert set(counted.values()) <= {1}, counted
    assert set(expected) <= counted.keys(), counted


def _is_over(devices: Devices, read: Callable[[], Lines]) -> bool:
    """Whether as much is said to be over as had begun. It is found out by using it; but a job that failed is not due
    for a while."""
    time.sleep(0.2)
    devices.touch()
    assert is_well(devices.every_answer())
    lines = read()
    reliefs = sum(1 for line in lines if line["log_level"] == "info" and " again" in line["event"])
    return reliefs >= sum(count for event, count in complaints(lines).items() if event != FAILED_JOB)
