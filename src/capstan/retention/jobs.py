"""The periodic jobs that remove what is old, with the times at which they run (contract: device 4.8, public 24)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import Engine

from capstan.db.session import Registry
from capstan.files.incoming import Incoming
from capstan.files.objects import ObjectStore
from capstan.jobs.job import Done, Job, Run
from capstan.jobs.schedule import Schedule, daily
from capstan.retention import bundles, objects, records
from capstan.retention.limits import LEFTOVERS_KEPT, Limits
from capstan.uploads.sweep import sweep_expired


@dataclass(frozen=True, slots=True)
class Kept:
    """What the jobs work on."""

    registry: Registry
    telemetry: Engine
    objects: ObjectStore
    incoming: Incoming
    limits: Limits


def upkeep_jobs(kept: Kept) -> Sequence[Job]:
    """All of them; they run one after another."""
    registry, telemetry, limits = kept.registry, kept.telemetry, kept.limits
    custom_ids = Job("custom_id_cleanup", daily(1, 40), lambda run: records.remove_custom_ids(telemetry, run))
    return (
        Job("leftovers", _hourly(10), lambda run: remove_leftovers(kept, run)),
        Job("event_cleanup", _hourly(30), lambda run: records.delete_old_events(telemetry, limits, run)),
        Job(
            "bundle_retention",
            daily(0, 40),
            lambda run: bundles.delete_old_bundles(registry, telemetry, limits.keep_running_days, run),
        ),
        Job(
            "device_cleanup",
            daily(1, 20),
            lambda run: records.delete_silent_devices(registry, telemetry, limits, run),
        ),
        *(() if limits.custom_ids else (custom_ids,)),
        Job("override_cleanup", daily(2), lambda run: records.delete_old_overrides(registry, limits, run)),
        Job("audit_cleanup", daily(2, 20), lambda run: records.delete_old_audit_rows(registry, limits, run)),
        Job("bundle_purge", daily(3), lambda run: bundles.purge_deleted_bundles(registry, run)),
        Job("object_cleanup", daily(4), lambda run: objects.remove_unneeded_objects(registry, kept.objects, run)),
    )


def remove_leftovers(kept: Kept, run: Run) -> Done:
    """Remove what crashed servers left half-written on this machine, and uploads that nobody finished.

    Which node of a cluster runs a job is chance, so each one's leftovers are met sooner or later; besides, each start
    of a server removes its own.
    """
    before = run.now - LEFTOVERS_KEPT
    kept.incoming.sweep(before)
    kept.objects.sweep(before)
    pieces = sweep_expired(kept.registry, kept.objects)
    return Done({"upload_pieces": pieces}, notable=pieces > 0)


def _hourly(minute: int) -> Schedule:
    return Schedule(timedelta(hours=1), timedelta(minutes=minute))
