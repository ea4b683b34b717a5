"""Bundles that failed on devices, as operators see them: which, on how many devices, and the pardon for one device.

While a failure is remembered its device is not offered the bundle (`updates.failed`). Nothing of this is in the
registry, so neither is a pardon in the audit log; the server's log has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import Engine

from capstan.access.permissions import Permission
from capstan.access.principal import Principal, actor_of
from capstan.apps import service as apps
from capstan.bundles import store as bundles_store
from capstan.db.session import ReadSession
from capstan.errors import Problem
from capstan.telemetry import failed_bundles

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A bundle by id and, unless it is gone, by name; so many devices are not offered it because it failed on them."""

    bundle_id: int
    bundle: str | None
    devices: int


@dataclass(frozen=True, slots=True)
class Failure:
    """A bundle that failed on a device, as `HeldBack` names it, and when it did so for the last time."""

    bundle_id: int
    bundle: str | None
    failed_at: datetime


def held_back(
    session: ReadSession, telemetry: Engine, principal: Principal, app_id: str | None, memory: timedelta
) -> list[HeldBack]:
    """The bundles of an app that failed on devices within `memory`, the one with the most devices first.

    Raises Problem `missing_app_id`, `invalid_app_id` or `cannot_access_app`.
    """
    app_id = _permitted(session, principal, Permission.APP_READ_DEVICES, app_id)
    devices = failed_bundles.devices_by_bundle(telemetry, app_id, _after_ms(session, memory))
    held = [HeldBack(bundle_id, _name(session, app_id, bundle_id), count) for bundle_id, count in devices.items()]
    return sorted(held, key=lambda one: (-one.devices, one.bundle_id))


def failures_of_device(
    session: ReadSession,
    telemetry: Engine,
    principal: Principal,
    app_id: str | None,
    device_id: str,
    memory: timedelta,
) -> list[Failure]:
    """What failed on a device within `memory`, the last one first. Raises as `held_back`."""
    app_id = _permitted(session, principal, Permission.APP_READ_DEVICES, app_id)
    rows = failed_bundles.of_device(telemetry, app_id, device_id.lower(), _after_ms(session, memory))
    return [
        Failure(
            row["bundle_id"],
            _name(session, app_id, row["bundle_id"]),
            datetime.fromtimestamp(row["failed_at"] / 1000, UTC),
        )
        for row in rows
    ]


def forgive(
    session: ReadSession,
    telemetry: Engine,
    principal: Principal,
    app_id: str | None,
    device_id: str,
    bundle: str | None = None,
) -> int:
    """Have a device offered again what failed on it, or only the bundle of this name; how many failures that were.

    It holds for the device's next check on any node. Raises Problem `missing_app_id`, `invalid_app_id`,
    `cannot_access_app` or `cannot_find_version`.
    """
    app_id = _permitted(session, principal, Permission.APP_MANAGE_DEVICES, app_id)
    bundle_id = _id_of(session, app_id, bundle) if bundle is not None else None
    forgiven = failed_bundles.forgive(telemetry, app_id, device_id.lower(), bundle_id)
    log.info("device forgiven", app_id=app_id, device_id=device_id.lower(), failures=forgiven, by=actor_of(principal))
    return forgiven


def _permitted(session: ReadSession, principal: Principal, permission: Permission, app_id: str | None) -> str:
    app_id = apps.checked_app_id(app_id)
    if apps.permitted(session, principal, permission, app_id) is None:
        raise Problem("cannot_access_app", "You can't access this app", more={"app_id": app_id})
    return app_id


def _id_of(session: ReadSession, app_id: str, bundle: str) -> int:
    row = bundles_store.by_name(session, app_id, bundle)
    if row is None:
        raise Problem("cannot_find_version", "Cannot find version", more={"app_id": app_id, "version": bundle})
    bundle_id: int = row["id"]
    return bundle_id


def _name(session: ReadSession, app_id: str, bundle_id: int) -> str | None:
    row = bundles_store.by_id(session, app_id, bundle_id)
    return None if row is None else row["name"]


def _after_ms(session: ReadSession, memory: timedelta) -> int:
    return int((session.now - memory).timestamp() * 1000)
