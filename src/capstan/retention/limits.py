"""How long things are kept: the numbers of the contract, and the settings that go with them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from capstan.settings import Settings

RETENTION_OFF_SECONDS = 63_113_904
"""An app's `retention` from which on nothing is deleted for its age (contract: device 4.8)."""

PURGE_AFTER = timedelta(days=90)
"""How long a deleted bundle's name stays taken (contract: device 4.8)."""

UNTOUCHED_FOR = timedelta(days=7)
"""How long nobody has written or found an object, at least, when it is removed because nothing refers to it."""

STAMPS_KEPT = timedelta(hours=48)
"""How long a repeated event is recognised."""

LEFTOVERS_KEPT = timedelta(days=1)
"""How old half-written files are before they count as left over: older than any upload that may still go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the operator decided; see the settings of the same names. `keep_running_days` of 0 keeps no bundle.

    Without `custom_ids` none are kept.
    """

    keep_running_days: int
    events: timedelta
    devices: timedelta
    overrides: timedelta
    audit: timedelta
    failures: timedelta
    custom_ids: bool = True


def limits_of(settings: Settings) -> Limits:
    return Limits(
        keep_running_days=settings.keep_running_days,
        events=timedelta(seconds=settings.event_retention),
        devices=timedelta(seconds=settings.device_retention),
        overrides=timedelta(seconds=settings.override_retention),
        audit=timedelta(seconds=settings.audit_retention),
        failures=timedelta(seconds=settings.failed_bundle_memory),
        custom_ids=settings.keep_custom_ids,
    )


def deletable_before(retention_seconds: int, now: datetime) -> datetime | None:
    """Bundles of an app that are older than this moment may be deleted; None if its retention is off."""
    if not 0 <= retention_seconds < RETENTION_OFF_SECONDS:
        return None
    return now - timedelta(seconds=retention_seconds)
