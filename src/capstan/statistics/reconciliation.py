"""The counters of a period, counted anew from the rows behind them; each difference by name (docs/statistics.md).

Works beside a running server: each app and day is looked at in one moment. Days whose rows may have been removed for
their age cannot be counted anew and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine

from capstan.db.session import Registry
from capstan.statistics import store
from capstan.telemetry.reconcile import app_ids, counts

COUNTERS = (
    "mau",
    "native",
    "get",
    "install",
    "unoffered",
    "uninstall",
    "fail",
    "bandwidth",
    "downloads",
    "storage",
)
"""Everything that is compared. Bandwidth and storage are bytes."""

_RUNS_AT_MOST = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Difference:
    """Where the counter of an app (`counted`) is not what its rows come to (`found`).

    `subject` is a version, or platform and native version, or empty. Storage is compared over all days: no `date`.
    """

    app_id: str
    date: date | None
    counter: str
    subject: str
    counted: int
    found: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """Both days are included; none was compared if `first` is after `last`. `totals` are what the counters say.

    `left_out` is how many days at the beginning were not compared, because rows of them may be gone.
    """

    first: date
    last: date
    left_out: int
    apps: int
    totals: dict[str, int]
    differences: list[Difference]


def whole_days_since(now: datetime, retention: timedelta) -> date:
    """The first day of which no row has been removed for its age, nor will be while somebody looks."""
    oldest = now - retention + _RUNS_AT_MOST
    return oldest.date() + timedelta(days=1)


def reconcile(registry: Registry, telemetry: Engine, first: date, last: date, kept_since: date) -> Reconciliation:
    """Compare every app and day from `first` to `last`, and what is stored of every app.

    `kept_since` is the first day of which all rows are kept.
    """
    left_out = max(0, min((kept_since - first).days, (last - first).days + 1))
    first += timedelta(days=left_out)
    apps = app_ids(telemetry)
    totals = dict.fromkeys(COUNTERS, 0)
    differences = []
    for day in _days(first, last):
        for app_id in apps:
            for one in counts(telemetry, app_id, day):
                totals[one.counter] += one.counted
                if not one.agrees:
                    differences.append(Difference(app_id, day, one.counter, one.subject, one.counted, one.logged))
    with registry.read() as session:
        totals["storage"] = store.counted_storage(session)
        for row in store.storage_differences(session):
            differences.append(Difference(row["app_id"], None, "storage", "", int(row["counted"]), int(row["stored"])))
    return Reconciliation(first, last, left_out, len(apps), totals, differences)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))
