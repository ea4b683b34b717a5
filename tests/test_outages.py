"""Faults are said once, and once when they are over, even where some things go on working."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from structlog.testing import capture_logs

from capstan.outages import QUIET_SECONDS, Outage


@dataclass
class Clock:
    seconds: float = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_fault_that_many_meet_is_said_once_and_so_is_its_end() -> None:
    clock = Clock()
    with capture_logs() as lines:
        outage = Outage(structlog.get_logger(), "it is broken", "it works again", clock)
        outage.over()
        for _ in range(5):
            outage.met(OSError("no room\nsecond line"), place=1)
        clock.seconds += QUIET_SECONDS + 1
        for _ in range(5):
            outage.over(place=2)
    assert lines == [
        {"event": "it is broken", "error": "no room", "place": 1, "log_level": "error"},
        {"event": "it works again", "place": 2, "log_level": "info"},
    ]


def test_what_works_in_between_does_not_end_it() -> None:
    clock = Clock()
    with capture_logs() as lines:
        outage = Outage(structlog.get_logger(), "it is broken", "it works again", clock)
        for _ in range(10):
            outage.met("no room")
            clock.seconds += QUIET_SECONDS / 2
            outage.over()
    assert [line["event"] for line in lines] == ["it is broken"]


def test_a_second_fault_is_said_anew() -> None:
    clock = Clock()
    with capture_logs() as lines:
        outage = Outage(structlog.get_logger(), "it is broken", "it works again", clock)
        for _ in range(2):
            outage.met("no room")
            clock.seconds += QUIET_SECONDS + 1
            outage.over()
    assert [line["event"] for line in lines] == ["it is broken", "it works again"] * 2
