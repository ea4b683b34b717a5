"""What `capstan doctor --reconcile` does: counters against the rows behind them, in lines or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

from sqlalchemy.exc import DBAPIError

from capstan.cli.checkup import Finding
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.printing import plural, size
from capstan.cli.server_side import reason, stores
from capstan.db.engine import is_sqlite, open_engine
from capstan.db.migrate import SchemaState, schema_state
from capstan.settings import Settings
from capstan.statistics.reconciliation import COUNTERS, Difference, Reconciliation, reconcile, whole_days_since
from capstan.stores import sqlite_file

DEFAULT_DAYS = 7

_BYTES = ("bandwidth", "storage")


def reconcile_period(settings: Settings, first: date | None, last: date | None) -> Reconciliation:
    """Compare the days from `first` to `last`; by default the last seven, today included. Nothing is changed."""
    now = datetime.now(UTC)
    last = last or now.date()
    first = first or last - timedelta(days=DEFAULT_DAYS - 1)
    if first > last:
        raise Failure(f"--from {first} is after --to {last}.", WRONG_USAGE)
    _require_current_schema(settings)
    since = whole_days_since(now, timedelta(seconds=settings.event_retention))
    with stores(settings) as opened:
        return reconcile(opened.registry, opened.telemetry, first, last, since)


def _require_current_schema(settings: Settings) -> None:
    """Opening a store migrates it, which must not happen under a server of another version."""
    for chain, url in (("registry", settings.database_url), ("telemetry", settings.telemetry_database_url)):
        if is_sqlite(url) and not sqlite_file(url).exists():
            raise Failure(f"{sqlite_file(url)} does not exist, so there is nothing to compare.")
        engine = open_engine(url)
        try:
            state = schema_state(engine, chain)
        except DBAPIError as fault:
            raise Failure(f"The {chain} cannot be used: {reason(fault)}.") from None
        finally:
            engine.dispose()
        if state is not SchemaState.CURRENT:
            raise Failure(f"The {chain} has another version's schema. Start this version's server first.")


def findings(done: Reconciliation) -> Iterator[Finding]:
    """One for each counter that agrees, and one for each difference."""
    if done.left_out:
        yield Finding("left out", True, f"{plural(done.left_out, 'day')} of which not all rows are kept any more")
    if done.first <= done.last:
        yield Finding("period", True, f"{done.first} to {done.last}, {plural(done.apps, 'app')}")
    for counter in COUNTERS:
        wrong = [one for one in done.differences if one.counter == counter]
        for one in wrong:
            yield Finding(counter, False, _words(one))
        if not wrong:
            yield Finding(counter, True, _total(done, counter))


def _total(done: Reconciliation, counter: str) -> str:
    total = done.totals[counter]
    if counter in _BYTES:
        return size(total)
    if counter == "unoffered":
        return f"{total} of {plural(done.totals['install'], 'install')} without a recorded offer"
    return str(total)


def _words(wrong: Difference) -> str:
    if wrong.counter == "storage":
        return f"{wrong.app_id}: the days add up to {wrong.counted}, the bundles have {wrong.found}"
    of = f" {wrong.subject}" if wrong.subject else ""
    return f"{wrong.date} {wrong.app_id}{of}: the counter says {wrong.counted}, its rows say {wrong.found}"
