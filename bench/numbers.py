"""Percentiles, said once: the smallest value that at least so many percent of all values do not exceed."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of at least one value; no value is invented between two measured ones."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle value; of an even number of them the lower one."""
    return percentile(values, 50)
