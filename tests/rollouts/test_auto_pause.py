"""The verdict on a rollout: the order of its reasons, its numbers, and what holds for every rollout."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from capstan.rollouts.auto_pause import Reason, Terms, evaluate, precluded

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
WATCHED: dict[str, Any] = {
    "enabled": True,
    "threshold_bps": 500,
    "confidence": 0.95,
    "min_attempts": None,
    "min_failures": None,
    "cooldown": timedelta(minutes=60),
    "last_triggered_at": None,
}


def terms(**said: Any) -> Terms:
    return Terms(**{**WATCHED, **said})


JUST_TRIGGERED = {"last_triggered_at": NOW - timedelta(minutes=59)}


@pytest.mark.parametrize(
    ("said", "installs", "failures", "reason"),
    [
        ({}, 90, 10, Reason.TRIGGERED),
        ({"enabled": False}, 90, 10, Reason.DISABLED),
        ({"threshold_bps": None}, 90, 10, Reason.MISSING_THRESHOLD),
        (JUST_TRIGGERED, 90, 10, Reason.COOLDOWN),
        ({"last_triggered_at": NOW - timedelta(minutes=60)}, 90, 10, Reason.TRIGGERED),
        ({**JUST_TRIGGERED, "cooldown": timedelta()}, 90, 10, Reason.TRIGGERED),
        ({"min_attempts": 101}, 90, 10, Reason.INSUFFICIENT_ATTEMPTS),
        ({"min_attempts": 100}, 90, 10, Reason.TRIGGERED),
        ({"min_failures": 11}, 90, 10, Reason.INSUFFICIENT_FAILURES),
        ({"min_failures": 10}, 90, 10, Reason.TRIGGERED),
        ({"threshold_bps": 552}, 90, 10, Reason.TRIGGERED),
        ({"threshold_bps": 553}, 90, 10, Reason.BELOW_THRESHOLD),
        ({"threshold_bps": 0}, 100, 0, Reason.BELOW_THRESHOLD),
        ({"threshold_bps": 0}, 0, 0, Reason.BELOW_THRESHOLD),
        ({"threshold_bps": 0}, 1000, 1, Reason.TRIGGERED),
    ],
)
def test_each_reason_is_given_where_it_applies(
    said: dict[str, Any], installs: int, failures: int, reason: Reason
) -> None:
    assert evaluate(terms(**said), installs, failures, NOW).reason is reason


ALL_AT_ONCE: list[tuple[dict[str, Any], Reason]] = [
    ({"enabled": False}, Reason.DISABLED),
    ({"threshold_bps": None}, Reason.MISSING_THRESHOLD),
    (JUST_TRIGGERED, Reason.COOLDOWN),
    ({"min_attempts": 1000}, Reason.INSUFFICIENT_ATTEMPTS),
    ({"min_failures": 1000}, Reason.INSUFFICIENT_FAILURES),
    ({"threshold_bps": 9999}, Reason.BELOW_THRESHOLD),
]


@pytest.mark.parametrize("first", range(len(ALL_AT_ONCE)))
def test_of_several_reasons_the_contracts_first_one_is_given(first: int) -> None:
    said: dict[str, Any] = {}
    for earlier, _ in reversed(ALL_AT_ONCE[first:]):
        said |= earlier
    assert evaluate(terms(**said), 90, 10, NOW).reason is ALL_AT_ONCE[first][1]


@pytest.mark.parametrize(
    ("failures", "attempts", "confidence", "rate", "bound"),
    [
        (10, 100, 0.95, 1000, 552),
        (1, 10, 0.95, 1000, 178),
        (50, 100, 0.95, 5000, 4038),
        (100, 100, 0.95, 10000, 9630),
        (1, 3, 0.95, 3333, 614),
        (0, 100, 0.95, 0, 0),
        (0, 0, 0.95, 0, 0),
    ],
)
def test_rate_and_lower_bound_are_the_formulas(
    failures: int, attempts: int, confidence: float, rate: int, bound: int
) -> None:
    verdict = evaluate(terms(confidence=confidence), attempts - failures, failures, NOW)
    assert (verdict.attempts, verdict.failures) == (attempts, failures)
    assert (verdict.rate_bps, verdict.lower_bound_bps) == (rate, bound)


@pytest.mark.parametrize(("said", "used"), [(0.0, 0.0001), (-1.0, 0.0001), (1.0, 0.9999), (2.0, 0.9999)])
def test_a_confidence_beyond_all_bounds_is_brought_within_them(said: float, used: float) -> None:
    assert evaluate(terms(confidence=said), 90, 10, NOW) == evaluate(terms(confidence=used), 90, 10, NOW)


def test_what_precludes_a_stop_is_known_without_asking_any_device() -> None:
    assert precluded(terms(), NOW) is None
    assert precluded(terms(enabled=False), NOW) is Reason.DISABLED
    assert precluded(terms(threshold_bps=None), NOW) is Reason.MISSING_THRESHOLD
    assert precluded(terms(**JUST_TRIGGERED), NOW) is Reason.COOLDOWN


COUNTS = st.integers(0, 5000)
CONFIDENCES = st.floats(0.5, 0.9999)


@settings(max_examples=60)
@given(COUNTS, COUNTS, CONFIDENCES)
def test_the_lower_bound_lies_between_nothing_and_the_rate(installs: int, failures: int, confidence: float) -> None:
    verdict = evaluate(terms(confidence=confidence), installs, failures, NOW)
    assert 0 <= verdict.lower_bound_bps <= verdict.rate_bps <= 10_000


@settings(max_examples=60)
@given(COUNTS, st.integers(1, 5000), CONFIDENCES)
def test_more_failures_never_look_better(installs: int, failures: int, confidence: float) -> None:
    said = terms(confidence=confidence)
    fewer, more = (evaluate(said, installs, count, NOW) for count in (failures - 1, failures))
    assert fewer.lower_bound_bps <= more.lower_bound_bps


@settings(max_examples=60)
@given(COUNTS, COUNTS, CONFIDENCES, CONFIDENCES)
def test_who_wants_to_be_surer_waits_longer(installs: int, failures: int, one: float, other: float) -> None:
    lower, higher = sorted((one, other))
    sure, surer = (evaluate(terms(confidence=level), installs, failures, NOW) for level in (lower, higher))
    assert surer.lower_bound_bps <= sure.lower_bound_bps


@settings(max_examples=60)
@given(COUNTS, COUNTS, st.integers(1, 10_000))
def test_a_rollout_that_fails_less_often_than_allowed_is_never_stopped(
    installs: int, failures: int, threshold: int
) -> None:
    verdict = evaluate(terms(threshold_bps=threshold), installs, failures, NOW)
    assume(verdict.rate_bps < threshold)
    assert not verdict.triggered
