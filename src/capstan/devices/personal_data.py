"""What is known of one device, in both databases: to tell it to the person whose device it is, or to erase it.

For an operator on the server's machine: a device proves nothing about who holds it, so nobody can ask for this over the
network. Counters name no device and stay (docs/privacy.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import structlog
from sqlalchemy import Engine

from capstan.access.principal import Principal
from capstan.db.session import Registry
from capstan.devices import service, store
from capstan.telemetry.device_history import history
from capstan.telemetry.forget import Erased, forget_device

log = structlog.get_logger(__name__)

Known: TypeAlias = Mapping[str, Mapping[str, Any]]
"""By app: rows as the databases have them, and the names of the channels and bundles that the device was put on."""


def known(registry: Registry, telemetry: Engine, device_id: str, app_id: str | None = None) -> Known:
    """Everything about a device (its id in lower case), of one app or of all."""
    found: dict[str, dict[str, Any]] = {
        owner: {kind: [dict(row) for row in rows] for kind, rows in kept.items()}
        for owner, kept in history(telemetry, device_id, app_id).items()
    }
    with registry.read() as session:
        for place in store.places(session, device_id, app_id):
            found.setdefault(place["app_id"], {})[place["kind"]] = place["name"]
    return found


def forget(
    registry: Registry, telemetry: Engine, principal: Principal, device_id: str, app_id: str | None = None
) -> tuple[int, Erased]:
    """Erase a device (its id in lower case) from one app or from all: how many places it was put on, and rows.

    The log of the server tells that it was done, not of which device.
    """
    with registry.read() as session:
        places = store.places(session, device_id, app_id)
    for placed_app in sorted({place["app_id"] for place in places}):
        with registry.write(principal) as session:
            service.release(session, principal, placed_app, device_id)
    erased = forget_device(telemetry, device_id, app_id)
    if places or erased.total:
        log.info("a device was forgotten", app_id=app_id, places=len(places), rows=erased.total)
    return len(places), erased
