"""Old bundles: deleted softly when nothing needs them, removed for good when their name may be used again.

Both leave alone whatever a channel uses (contract: device 4.8). Two kinds of old, unlinked bundles stay, and the run
says so: those that devices still run, so that a channel can go back to them, and those that a device is pinned to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

import structlog
from sqlalchemy import Engine, RowMapping

from capstan.access.principal import SystemPrincipal
from capstan.audit import service as audit
from capstan.bundles import service as bundles
from capstan.bundles import store as bundles_store
from capstan.db.counters import count_device_state
from capstan.db.session import Registry, WriteSession
from capstan.errors import Problem
from capstan.jobs.job import Detail, Done, Run
from capstan.retention import store
from capstan.retention.limits import PURGE_AFTER, deletable_before
from capstan.telemetry.retention import running_versions

log = structlog.get_logger(__name__)

RETENTION = SystemPrincipal("bundle retention")
PURGE = SystemPrincipal("purge of deleted bundles")
PAGE_SIZE = 500
MOST_NAMED = 20
"""Bundles that a run tells by name; all of them are counted."""

_KEPT_AFTER_ALL = {"cannot_delete_bundle", "cannot_delete_version", "cannot_delete_linked_version"}


@dataclass(slots=True)
class Tally:
    """What a run did."""

    deleted: int = 0
    kept_running: int = 0
    kept_pinned: int = 0
    named: list[str] = field(default_factory=list)

    def detail(self) -> Detail:
        numbers = {"deleted": self.deleted, "kept_running": self.kept_running, "kept_pinned": self.kept_pinned}
        return {**numbers, "kept": self.named} if self.named else numbers

    def name(self, app_id: str, version: str) -> None:
        if len(self.named) < MOST_NAMED:
            self.named.append(f"{app_id} {version}")


def delete_old_bundles(registry: Registry, telemetry: Engine, keep_running_days: int, run: Run) -> Done:
    """Delete bundles that are older than their app keeps them, unlinked, and no longer run by any device."""
    tally = Tally()
    seen_since = (run.now - timedelta(days=keep_running_days)).date() if keep_running_days else None
    for app in _apps(registry):
        if not _delete_of_app(registry, telemetry, app, seen_since, tally, run):
            break
    return Done(tally.detail())


def purge_deleted_bundles(registry: Registry, run: Run) -> Done:
    """Remove the rows of bundles that were deleted 90 days ago; their names become free."""
    purged = kept = after_id = 0
    before = run.now - PURGE_AFTER
    while True:
        with registry.read() as session:
            page = store.bundles_deleted_before(session, before, after_id, PAGE_SIZE)
        for row in page:
            if not run.goes_on():
                return Done({"purged": purged, "kept": kept})
            with registry.write(PURGE) as session:
                if _purge(session, row):
                    purged += 1
                else:
                    kept += 1
            after_id = row["id"]
        if len(page) < PAGE_SIZE:
            return Done({"purged": purged, "kept": kept})


def _apps(registry: Registry) -> Iterator[RowMapping]:
    after = ""
    while True:
        with registry.read() as session:
            page = store.apps_after(session, after, PAGE_SIZE)
        yield from page
        if len(page) < PAGE_SIZE:
            return
        after = page[-1]["app_id"]


def _delete_of_app(
    registry: Registry, telemetry: Engine, app: RowMapping, seen_since: date | None, tally: Tally, run: Run
) -> bool:
    """False if the run had to end."""
    before = deletable_before(app["retention"], run.now)
    if before is None:
        return True
    with registry.read() as session:
        unlinked = store.unlinked_bundles(session, app["app_id"], before)
    if not unlinked:
        return True
    running = running_versions(telemetry, app["app_id"], seen_since) if seen_since is not None else frozenset()
    for bundle in unlinked:
        if not run.goes_on():
            return False
        if bundle["name"] in running:
            tally.kept_running += 1
            tally.name(app["app_id"], bundle["name"])
        elif bundle["pinned"]:
            tally.kept_pinned += 1
            tally.name(app["app_id"], bundle["name"])
        else:
            tally.deleted += _delete(registry, app["app_id"], bundle["name"])
    return True


def _delete(registry: Registry, app_id: str, name: str) -> int:
    try:
        with registry.write(RETENTION) as session:
            bundles.delete(session, RETENTION, app_id, name)
    except Problem as problem:
        if problem.code not in _KEPT_AFTER_ALL:
            raise
        # Somebody linked or deleted it a moment ago.
        return 0
    return 1


def _purge(session: WriteSession, row: RowMapping) -> bool:
    """Remove a deleted bundle's row; False if a channel refers to it, for that channel would turn to builtin."""
    app_id, bundle_id = row["app_id"], row["id"]
    bundle = bundles_store.by_id(session, app_id, bundle_id, lock=True)
    session.lock_app(app_id)
    if bundle is None or not bundle["deleted"]:
        return False
    if bundle_id in bundles_store.linked(session, app_id):
        log.error("a channel refers to a deleted bundle", app_id=app_id, version=row["name"])
        return False
    pins = store.purge_bundle(session, bundle_id)
    count_device_state(session, app_id, pins=-pins)
    audit.deleted(session, "app_versions", bundle["owner_org"], bundle)
    session.touch_app(app_id)
    return True
