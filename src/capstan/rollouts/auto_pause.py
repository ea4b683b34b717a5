"""Whether a rollout fails too often: a pure function of what its channel allows and what its devices reported.

The order of the reasons is the contract's (device 6.4) and is part of what operators see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from statistics import NormalDist

BASIS_POINTS = 10_000
LEAST_CONFIDENCE = 0.0001
MOST_CONFIDENCE = 0.9999


class Reason(StrEnum):
    """Why a rollout goes on, or that it does not."""

    DISABLED = "disabled"
    MISSING_THRESHOLD = "missing_threshold"
    COOLDOWN = "cooldown"
    INSUFFICIENT_ATTEMPTS = "insufficient_attempts"
    INSUFFICIENT_FAILURES = "insufficient_failures"
    BELOW_THRESHOLD = "below_threshold"
    TRIGGERED = "triggered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a channel says about auto-pause. A minimum of None is none; without a threshold nothing is ever stopped."""

    enabled: bool
    threshold_bps: int | None
    confidence: float
    min_attempts: int | None
    min_failures: int | None
    cooldown: timedelta
    last_triggered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came out, with the numbers it came from; rates in basis points, rounded down."""

    reason: Reason
    attempts: int
    failures: int
    rate_bps: int
    lower_bound_bps: int

    @property
    def triggered(self) -> bool:
        return self.reason is Reason.TRIGGERED


def precluded(terms: Terms, now: datetime) -> Reason | None:
    """The reason for which a rollout goes on whatever its devices report; None if that has to be asked."""
    if not terms.enabled:
        return Reason.DISABLED
    if terms.threshold_bps is None:
        return Reason.MISSING_THRESHOLD
    if terms.last_triggered_at is not None and terms.last_triggered_at + terms.cooldown > now:
        return Reason.COOLDOWN
    return None


def evaluate(terms: Terms, installs: int, failures: int, now: datetime) -> Verdict:
    """Judge a rollout by the installs and failures in its window."""
    attempts = installs + failures
    rate_bps = failures * BASIS_POINTS // attempts if attempts else 0
    bound_bps = _lower_bound_bps(failures, attempts, terms.confidence)
    return Verdict(_reason(terms, attempts, failures, bound_bps, now), attempts, failures, rate_bps, bound_bps)


def _reason(terms: Terms, attempts: int, failures: int, lower_bound_bps: int, now: datetime) -> Reason:
    reason = precluded(terms, now)
    if reason is not None:
        return reason
    if attempts < (terms.min_attempts or 0):
        return Reason.INSUFFICIENT_ATTEMPTS
    if failures < (terms.min_failures or 0):
        return Reason.INSUFFICIENT_FAILURES
    if failures == 0 or lower_bound_bps < (terms.threshold_bps or 0):
        return Reason.BELOW_THRESHOLD
    return Reason.TRIGGERED


def _lower_bound_bps(failures: int, attempts: int, confidence: float) -> int:
    """The Wilson score's lower end, two-sided: the rate is below it only with a chance of (1 - confidence) / 2."""
    if attempts == 0:
        return 0
    confidence = min(max(confidence, LEAST_CONFIDENCE), MOST_CONFIDENCE)
    z = NormalDist().inv_cdf(1 - (1 - confidence) / 2)
    n, p = attempts, failures / attempts
    centre = p + z * z / (2 * n)
    spread = z * math.sqrt((p * (1 - p) + z * z / (4 * n)) / n)
    bound = (centre - spread) / (1 + z * z / n)
    return max(math.floor(bound * BASIS_POINTS), 0)
