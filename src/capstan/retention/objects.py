"""Objects that nothing refers to any more: removed, but never one that an upload may just be relying on.

An object goes in two steps. First, under the app's lock, it is checked once more that nothing needs it, and the row
that accounts for it becomes a row of `doomed_objects`: from then on an upload that finds the object looks again before
it relies on it. Then, with the object's place kept away from uploads, it is removed, and the note with it. A crash
leaves either an object that is accounted for, or one that is noted as doomed.

The other way around nothing is ever done: an object that is missing changes no bundle and no channel.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import groupby

import structlog
from sqlalchemy import RowMapping

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry, WriteSession
from capstan.files.objects import ObjectInfo, ObjectStore
from capstan.jobs.job import Done, Run
from capstan.retention import store
from capstan.retention.limits import UNTOUCHED_FOR

log = structlog.get_logger(__name__)

CLEAN_UP = SystemPrincipal("clean-up of objects")
DOOM_SLICE = 500
REMOVE_SLICE = 100
_REMOVALS_AT_ONCE = 16


def remove_unneeded_objects(registry: Registry, objects: ObjectStore, run: Run) -> Done:
    """Remove objects that nothing has referred to, and nobody has touched, for 7 days."""
    before = run.now - UNTOUCHED_FOR
    doomed = _doom(registry, before, run)
    removed = kept = freed = 0
    after = ""
    while run.goes_on():
        with registry.read() as session:
            page = store.doomed_after(session, after, REMOVE_SLICE)
        if not page:
            break
        after = page[-1]["key"]
        gone = _remove(registry, objects, page, before)
        removed += len(gone)
        kept += len(page) - len(gone)
        freed += sum(row["size"] for row in page if row["key"] in gone)
    return Done({"doomed": doomed, "removed": removed, "kept": kept, "freed_bytes": freed})


def _doom(registry: Registry, before: datetime, run: Run) -> int:
    doomed = 0
    after = ""
    while run.goes_on():
        with registry.read() as session:
            page = store.unneeded_objects(session, before, after, DOOM_SLICE)
        if not page:
            break
        after = page[-1]["key"]
        for app_id, rows in groupby(page, lambda row: str(row["app_id"])):
            with registry.write(CLEAN_UP) as session:
                session.lock_app(app_id)
                doomed += store.doom_objects(session, [row["key"] for row in rows], before)
    return doomed


def _remove(registry: Registry, objects: ObjectStore, page: Sequence[RowMapping], before: datetime) -> set[str]:
    found = objects.heads([row["key"] for row in page])
    with registry.write(CLEAN_UP) as session:
        claimed = store.claim_doomed(session, page)
        kept = _keep(session, claimed, found, before)
        gone = claimed - kept
        _delete(objects, gone & found.keys())
        store.drop_claims(session, gone)
        store.forget_doomed(session, claimed)
    return gone


def _keep(
    session: WriteSession, claimed: Collection[str], found: Mapping[str, ObjectInfo], before: datetime
) -> set[str]:
    """Account again for what turns out to be needed, or was written lately without being accounted for."""
    needed = store.referred_to(session, claimed)
    young = {key for key in claimed if key in found and found[key].modified >= before}
    for key in needed:
        store.account_again(session, key, session.now)
    for key in young - needed:
        store.account_again(session, key, found[key].modified)
    if needed:
        log.error("objects that were to be removed are needed", keys=sorted(needed))
    return needed | young


def _delete(objects: ObjectStore, keys: Collection[str]) -> None:
    with ThreadPoolExecutor(_REMOVALS_AT_ONCE) as pool:
        for _ in pool.map(objects.delete, keys):
            pass
