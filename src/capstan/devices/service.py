"""The rules of devices: who may see them, and put one on a channel or a bundle (contract: public 15).

What is known of devices comes from telemetry, what operators decided about single ones from the registry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy import Engine, RowMapping
from sqlalchemy.exc import SQLAlchemyError

from capstan.access.check import allowed
from capstan.access.permissions import Permission
from capstan.access.principal import Principal
from capstan.apps import service as apps
from capstan.channels import service as channels
from capstan.db.counters import count_device_state
from capstan.db.session import ReadSession, WriteSession
from capstan.devices import store
from capstan.devices.listing import Listing, cursor_after, query_of
from capstan.errors import Problem
from capstan.telemetry import device_queries

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Device:
    """A device's row of telemetry, the id of the bundle it names if there is one, and the channel it is forced onto."""

    row: RowMapping
    bundle_id: int | None
    channel: str | None


@dataclass(frozen=True, slots=True)
class DevicePage:
    """`next_cursor` is None on the last page."""

    devices: Sequence[Device]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class Placement:
    """What a device is to be put on: a channel by name, a bundle by name, both or neither; empty texts are neither."""

    app_id: str | None
    device_id: str | None
    channel: str | None = None
    bundle: str | None = None


def read(session: ReadSession, telemetry: Engine, principal: Principal, app_id: str | None, device_id: str) -> Device:
    """One device. Raises Problem `missing_app_id`, `invalid_app_id`, `cannot_access_app` or `device_not_found`."""
    app_id = _readable_app(session, principal, app_id)
    row = device_queries.find(telemetry, app_id, device_id.lower())
    if row is None:
        raise Problem("device_not_found", "Cannot find device", status=404, more={"device_id": device_id})
    return _with_names(session, app_id, [row])[0]


def list_devices(
    session: ReadSession, telemetry: Engine, principal: Principal, app_id: str | None, listing: Listing
) -> DevicePage:
    """A page of an app's devices.

    Raises Problem `missing_app_id`, `invalid_app_id`, `cannot_access_app`, what `listing.query_of` raises, or
    `devices_not_found` if telemetry cannot be read.
    """
    app_id = _readable_app(session, principal, app_id)
    query = query_of(app_id, listing)
    try:
        rows = device_queries.page(telemetry, query)
    except SQLAlchemyError as error:
        log.error("the devices cannot be read", app_id=app_id, error=str(error))
        raise Problem("devices_not_found", "Cannot read devices", status=404, more={"app_id": app_id}) from error
    shown = rows[: query.limit - 1]
    cursor = cursor_after(shown[-1]["device_id"], shown[-1]["updated_at"]) if len(rows) == query.limit else None
    return DevicePage(_with_names(session, app_id, shown), cursor)


def place(session: WriteSession, principal: Principal, wanted: Placement, *, pins_allowed: bool) -> None:
    """Force a device onto a channel, pin it to a bundle, or both; nothing is written on failure.

    Bundles are the older dialect's alone (CD-40). Raises Problem as contract public 15.2 lists, in its order.
    """
    if not wanted.app_id or not wanted.device_id:
        raise Problem("missing_device_id_or_app_id", "Missing device_id or app_id")
    app_id, device_id = apps.checked_app_id(wanted.app_id), wanted.device_id.lower()
    if wanted.bundle and not pins_allowed:
        raise Problem("invalid_version_id", "Cannot set version to device, use channel instead")
    if wanted.bundle or not wanted.channel:
        _require_device_management(session, principal, app_id)
    bundle = _live_bundle(session, app_id, wanted.bundle) if wanted.bundle else None
    session.lock_app(app_id)
    channel = _forceable_channel(session, principal, app_id, wanted.channel) if wanted.channel else None
    overrides = _force(session, channel, device_id) if channel is not None else 0
    pins = store.put_pin(session, app_id, device_id, bundle["id"]) if bundle is not None else 0
    count_device_state(session, app_id, overrides=overrides, pins=pins)


def release(session: WriteSession, principal: Principal, app_id: str | None, device_id: str | None) -> None:
    """Take away a device's override, pin and own choice of a channel, if it has any (contract: device 3.2).

    Raises Problem as contract public 15.3 lists.
    """
    if not app_id:
        raise Problem("missing_app_id", "Missing app_id")
    if not device_id:
        raise Problem("missing_device_id", "Missing device_id")
    app_id, device_id = apps.checked_app_id(app_id), device_id.lower()
    _require_device_management(session, principal, app_id)
    session.lock_app(app_id)
    overrides = store.delete_override(session, app_id, device_id)
    pins = store.delete_pin(session, app_id, device_id)
    choices = store.delete_choice(session, app_id, device_id)
    count_device_state(session, app_id, overrides=-overrides, pins=-pins, choices=-choices)


def _readable_app(session: ReadSession, principal: Principal, app_id: str | None) -> str:
    app_id = apps.checked_app_id(app_id)
    if apps.permitted(session, principal, Permission.APP_READ_DEVICES, app_id) is None:
        raise _no_access(app_id)
    return app_id


def _require_device_management(session: ReadSession, principal: Principal, app_id: str) -> None:
    if apps.permitted(session, principal, Permission.APP_MANAGE_DEVICES, app_id) is None:
        raise _no_access(app_id)


def _live_bundle(session: WriteSession, app_id: str, name: str) -> RowMapping:
    bundle = store.lock_live_bundle(session, app_id, name)
    if bundle is None:
        raise Problem("cannot_find_version", "Cannot find version", more={"app_id": app_id, "version_id": name})
    return bundle


def _forceable_channel(session: WriteSession, principal: Principal, app_id: str, name: str) -> RowMapping:
    more = {"app_id": app_id, "channel": name}
    channel = channels.find(session, app_id, name)
    if channel is None or not allowed(principal, Permission.CHANNEL_READ, channels.scope_of(channel), session.now):
        raise Problem("channel_not_found", "Cannot find channel", status=404, more=more)
    if not allowed(principal, Permission.CHANNEL_MANAGE_FORCED_DEVICES, channels.scope_of(channel), session.now):
        raise Problem("cannot_access_channel", "You can't access this channel", more=more)
    if channel["public"]:
        raise Problem("public_channel_override", "Cannot set channel override for public channel", more=more)
    return channel


def _force(session: WriteSession, channel: RowMapping, device_id: str) -> int:
    # An operator's word replaces that of an older plugin too, which keeps its choice here (contract: device 3.2).
    store.align_choice(session, channel, device_id)
    return store.put_override(session, channel, device_id)


def _with_names(session: ReadSession, app_id: str, rows: Sequence[RowMapping]) -> list[Device]:
    ids = store.bundle_ids(session, app_id, {row["version_name"] for row in rows})
    forced = store.override_channels(session, app_id, [row["device_id"] for row in rows])
    return [Device(row, ids.get(row["version_name"]), forced.get(row["device_id"])) for row in rows]


def _no_access(app_id: str) -> Problem:
    return Problem("cannot_access_app", "You can't access this app", more={"app_id": app_id})
