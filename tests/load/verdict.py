"""After the load: every answer was right, every event that was taken is in the log once, the counters say the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Engine, func, select

from capstan.statistics.reconciliation import Reconciliation, reconcile
from capstan.telemetry.tables import events
from tests.load.fleet import ACTION, Outcome
from tests.load.releases import Releases
from tests.load.running import FLEET, Installation


def check(site: Installation, outcome: Outcome, releases: Releases) -> Reconciliation:
    """Raise AssertionError if anything is not as it must be; what the counters come to."""
    assert not outcome.strange, outcome.strange[:5]
    assert not outcome.crowded_out
    assert not releases.strange, releases.strange[:5]
    assert releases.uploads
    assert releases.changes
    logged = times_logged(site.telemetry)
    assert logged == dict.fromkeys((FLEET.device_id(device) for device in outcome.told), 1)
    counted = counters(site)
    assert counted.differences == []
    assert counted.totals["get"] <= outcome.offers + outcome.cut_off["check"]
    if not outcome.cut_off:
        assert counted.totals["get"] == outcome.offers
    return counted


def times_logged(engine: Engine) -> dict[str, int]:
    """How often the event of each device is in the log."""
    rows = (
        select(events.c.device_id, func.count().label("times"))
        .where(events.c.action == ACTION)
        .group_by(events.c.device_id)
    )
    with engine.connect() as connection:
        return {row.device_id: row.times for row in connection.execute(rows)}


def counters(site: Installation) -> Reconciliation:
    """The counters of today, and of yesterday, for it may have been midnight meanwhile."""
    today = datetime.now(UTC).date()
    return reconcile(site.registry, site.telemetry, today - timedelta(days=1), today, date.min)
