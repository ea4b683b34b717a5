"""What stands before every device answer: the operator's limit list and the app's plan (contract: device 1.3, 1.5)."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from datetime import date

from capstan.updates.body import Refusal, too_many_requests
from capstan.updates.decision import Need, plan_allows
from capstan.updates.snapshot import AppSnapshot

SERVED: tuple[Need, ...] = ("mau", "bandwidth")
"""What the plan must allow for update checks and events."""

_random = random.SystemRandom()


class LimitList:
    """Apps that the operator turns away: app id to the share of requests, 0 to 1. The first entry of an id counts."""

    def __init__(self, shares: Iterable[tuple[str, float]]) -> None:
        self._shares: Mapping[str, float] = dict(reversed(list(shares)))

    def __call__(self, app_id: str, _device_id: str) -> Refusal | None:
        share = self._shares.get(app_id)
        if not share or (share < 1 and _random.random() >= share):
            return None
        return too_many_requests({"app_id": app_id})


def is_served(snapshot: AppSnapshot, today: date) -> bool:
    """Whether update checks and events of this app are answered."""
    plan = snapshot.plan
    return plan.customer_id is None or plan_allows(plan, SERVED, today)
