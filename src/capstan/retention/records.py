"""Records that are kept for a time: overrides and pins, choices of devices, audit rows, events, device rows.

Everything goes in slices of some ten milliseconds, so that whoever writes in between waits no longer than that.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from itertools import groupby
from typing import TypeVar

from sqlalchemy import Engine, Table

from capstan.access.principal import SystemPrincipal
from capstan.db.counters import count_device_state
from capstan.db.session import Registry
from capstan.jobs.job import Done, Run
from capstan.retention import store
from capstan.retention.limits import STAMPS_KEPT, Limits
from capstan.telemetry import retention as telemetry_retention
from capstan.telemetry.days import HOUR_MS
from capstan.telemetry.forget import clear_custom_ids

OVERRIDES = SystemPrincipal("clean-up of overrides")
CHOICES = SystemPrincipal("clean-up of silent devices")
AUDIT = SystemPrincipal("clean-up of the audit log")
SLICE = 500

M = TypeVar("M", int, datetime)


def trim(
    rows_after: Callable[[int], list[tuple[int, M]]],
    delete: Callable[[int, int], int],
    before: M,
    run: Run,
) -> int:
    """Remove from a log what is older than a moment; how many rows that were.

    A log grows at its end, so old rows lie at its beginning: it is read from there (ids and moments, in the order of
    ids) up to the first slice without an old row. `delete` removes the old ones from one id to another.
    """
    removed = after = 0
    while run.goes_on():
        rows = rows_after(after)
        if not any(moment < before for _, moment in rows):
            break
        removed += delete(rows[0][0], rows[-1][0])
        after = rows[-1][0]
    return removed


def repeat(remove: Callable[[], int], run: Run) -> int:
    """Call `remove` until it finds nothing more to remove; how much it was in all."""
    removed = 0
    while run.goes_on() and (count := remove()):
        removed += count
    return removed


def delete_old_overrides(registry: Registry, limits: Limits, run: Run) -> Done:
    """Take devices off the channels and bundles that they were put on long ago."""
    before = run.now - limits.overrides
    with registry.read() as session:
        app_ids = store.apps_with_old_places(session, before)
    overrides = pins = 0

    def remove(app_id: str) -> int:
        nonlocal overrides, pins
        with registry.write(OVERRIDES) as session:
            session.lock_app(app_id)
            old_overrides = store.delete_old_overrides(session, app_id, before, SLICE)
            old_pins = store.delete_old_pins(session, app_id, before, SLICE)
            count_device_state(session, app_id, overrides=-old_overrides, pins=-old_pins)
        overrides += old_overrides
        pins += old_pins
        return old_overrides + old_pins

    for app_id in app_ids:
        repeat(partial(remove, app_id), run)
    return Done({"overrides": overrides, "pins": pins})


def delete_old_audit_rows(registry: Registry, limits: Limits, run: Run) -> Done:
    """Forget who changed what long ago."""
    before = run.now - limits.audit

    def rows_after(after: int) -> list[tuple[int, datetime]]:
        with registry.read() as session:
            return store.audit_rows_after(session, after, SLICE)

    def delete(first: int, last: int) -> int:
        with registry.write(AUDIT) as session:
            return store.delete_audit_rows(session, first, last, before)

    return Done({"rows": trim(rows_after, delete, before, run)})


def delete_silent_devices(registry: Registry, telemetry: Engine, limits: Limits, run: Run) -> Done:
    """Forget devices that were not seen for long, the channel that one chose itself included."""
    silent_since = (run.now - limits.devices).date()
    devices = 0
    after = ("", "")
    while run.goes_on() and (page := telemetry_retention.silent_devices(telemetry, silent_since, after, SLICE)):
        devices += telemetry_retention.delete_devices(telemetry, page, silent_since)
        after = page[-1]
    choices = _delete_lost_choices(registry, telemetry, run.now - limits.devices, run)
    return Done({"devices": devices, "choices": choices})


def _delete_lost_choices(registry: Registry, telemetry: Engine, before: datetime, run: Run) -> int:
    removed = 0
    after = ("", "")
    while run.goes_on():
        with registry.read() as session:
            page = store.old_choices(session, before, after, SLICE)
        if not page:
            break
        known = telemetry_retention.known_devices(telemetry, page)
        for app_id, keys in groupby((key for key in page if key not in known), lambda key: key[0]):
            with registry.write(CHOICES) as session:
                session.lock_app(app_id)
                choices = store.delete_choices(session, app_id, [device_id for _, device_id in keys], before)
                count_device_state(session, app_id, choices=-choices)
            removed += choices
        after = page[-1]
    return removed


def remove_custom_ids(telemetry: Engine, run: Run) -> Done:
    """Remove the custom ids of devices that were kept before the setting was turned off."""
    removed = 0
    after = ("", "")
    while run.goes_on() and (page := clear_custom_ids(telemetry, after, SLICE)):
        count, after = page
        removed += count
    return Done({"custom_ids": removed}, notable=removed > 0)


def delete_old_events(telemetry: Engine, limits: Limits, run: Run) -> Done:
    """Forget single events, requests and downloads, and the rows that only served to count; the counters stay."""
    before = run.now - limits.events
    counts = {name: _trim_log(telemetry, log, before, run) for name, log in telemetry_retention.LOGS.items()}
    stamps_hour = _epoch_ms(run.now - STAMPS_KEPT) // HOUR_MS
    failed_ms = _epoch_ms(run.now - limits.failures)
    counts["stamps"] = repeat(lambda: telemetry_retention.delete_stamps(telemetry, stamps_hour, SLICE), run)
    counts["failures"] = repeat(lambda: telemetry_retention.delete_failures(telemetry, failed_ms, SLICE), run)
    counts["first_seen"] = _delete_first_seen(telemetry, before.date(), run)
    return Done(counts, notable=any(counts.values()))


def _trim_log(telemetry: Engine, log: Table, before: datetime, run: Run) -> int:
    before_ms = _epoch_ms(before)
    return trim(
        lambda after: telemetry_retention.rows_after(telemetry, log, after, SLICE),
        lambda first, last: telemetry_retention.delete_rows(telemetry, log, first, last, before_ms),
        before_ms,
        run,
    )


def _delete_first_seen(telemetry: Engine, before: date, run: Run) -> int:
    return sum(
        repeat(partial(telemetry_retention.delete_first_seen, telemetry, where, before, SLICE), run)
        for where in telemetry_retention.first_seen_before(telemetry, before)
    )


def _epoch_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
