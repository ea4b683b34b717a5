"""What the long run came to, kept beside the other measurements."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from bench import machine
from bench.numbers import percentile

from capstan.statistics.reconciliation import Reconciliation
from tests.load.fleet import Outcome, Plan
from tests.load.releases import Releases

RESULTS = Path(__file__).parents[2] / "bench" / "results"


def write_report(kind: str, plan: Plan, outcome: Outcome, releases: Releases, counted: Reconciliation) -> None:
    """Write `load-<kind>.json`. Waits are milliseconds from the moment that a request was due."""
    waits = {f"p{percent:g}": round(percentile(outcome.waits, percent) * 1e3, 2) for percent in (50, 90, 99, 99.9)}
    report = {
        "machine": machine.facts(),
        "database": kind,
        "plan": asdict(plan),
        "sent": outcome.sent,
        "cut off by the kill": outcome.cut_off,
        "wrong answers": len(outcome.strange),
        "events taken": len(outcome.told),
        "offers": outcome.offers,
        "uploads": releases.uploads,
        "changes of the channel": releases.changes,
        "wait_ms": waits,
        "counters": counted.totals,
        "differences": len(counted.differences),
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"load-{kind}.json").write_text(json.dumps(report, indent=2) + "\n")
