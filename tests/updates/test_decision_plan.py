"""Which plans are served (contract: device 1.5)."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from capstan.updates.decision import plan_allows
from capstan.updates.snapshot import OrgPlan

TODAY = date(2026, 3, 1)


@pytest.mark.parametrize(
    ("plan", "needs", "allowed"),
    [
        (OrgPlan(), ("mau", "bandwidth"), True),
        (OrgPlan(customer_id="c"), ("mau",), False),
        (OrgPlan(customer_id="c", has_usage_credits=True, status="canceled"), ("mau",), True),
        (OrgPlan(customer_id="c", trial_ends=TODAY + timedelta(1), mau_exceeded=True), ("mau",), True),
        (OrgPlan(customer_id="c", trial_ends=TODAY), ("mau",), False),
        (OrgPlan(customer_id="c", status="succeeded"), ("mau", "bandwidth", "storage"), True),
        (OrgPlan(customer_id="c", status="succeeded", mau_exceeded=True), ("mau",), False),
        (OrgPlan(customer_id="c", status="succeeded", bandwidth_exceeded=True), ("mau",), True),
        (OrgPlan(customer_id="c", status="succeeded", bandwidth_exceeded=True), ("mau", "bandwidth"), False),
        (OrgPlan(customer_id="c", status="succeeded", storage_exceeded=True), ("mau", "bandwidth"), True),
        (OrgPlan(customer_id="c", status="failed"), (), False),
    ],
)
def test_a_plan_allows_what_the_contract_says(plan: OrgPlan, needs: tuple[Any, ...], allowed: bool) -> None:
    assert plan_allows(plan, needs, TODAY) is allowed
