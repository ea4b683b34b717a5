"""What the server wrote into its log about a fault: each thing once, however many requests met it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from tests.faults.devices import until

COMPLAINTS = frozenset({"warning", "error", "critical", "exception"})


def complaints(lines: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How often each complaint stands in a log."""
    return Counter(line["event"] for line in lines if line["log_level"] in COMPLAINTS)


def check_said_once(lines: Collection[Mapping[str, Any]], *expected: str) -> None:
    """No complaint stands there twice, and these do stand there; in the end each is said to be over."""
    until(lambda: _reliefs(lines) == complaints(lines).total())
    counted = complaints(lines)
    assert set(counted.values()) <= {1}, counted
    assert set(expected) <= counted.keys(), counted


def _reliefs(lines: Iterable[Mapping[str, Any]]) -> int:
    return sum(1 for line in lines if line["log_level"] == "info" and " again" in line["event"])
