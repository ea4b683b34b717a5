"""SQL of what operators decide about single devices, and of the names that device rows refer to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import RowMapping, Table, Text, delete, insert, literal, select, true, union_all, update

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import app_versions, channel_devices, channel_self_choices, channels, device_pins


def bundle_ids(session: ReadSession, app_id: str, names: Collection[str]) -> dict[str, int]:
    """Ids of the app's bundles of these names, deleted ones too: devices may still run them."""
    named = select(app_versions.c.name, app_versions.c.id).where(
        app_versions.c.app_id == app_id, app_versions.c.name.in_(names)
    )
    return {row["name"]: row["id"] for row in session.rows(named)}


def override_channels(session: ReadSession, app_id: str, device_ids: Collection[str]) -> dict[str, str]:
    """Names of the channels that these devices are forced onto."""
    forced = (
        select(channel_devices.c.device_id, channels.c.name)
        .join(channels, channels.c.id == channel_devices.c.channel_id)
        .where(channel_devices.c.app_id == app_id, channel_devices.c.device_id.in_(device_ids))
    )
    return {row["device_id"]: row["name"] for row in session.rows(forced)}


def places(session: ReadSession, device_id: str, app_id: str | None) -> Sequence[RowMapping]:
    """Where a device was put, in one app or in all: rows of `app_id`, `kind` and the `name` of a channel or bundle.

    `kind` is `override` or `pin` if an operator did it, `own_choice` if the device did.
    """
    kinds = (
        ("override", channel_devices, channel_devices.c.channel_id, channels),
        ("pin", device_pins, device_pins.c.app_version_id, app_versions),
        ("own_choice", channel_self_choices, channel_self_choices.c.channel_id, channels),
    )
    each = [
        select(table.c.app_id, literal(kind, Text).label("kind"), named.c.name)
        .join_from(table, named, named.c.id == target)
        .where(table.c.device_id == device_id, table.c.app_id == app_id if app_id is not None else true())
        for kind, table, target, named in kinds
    ]
    every = union_all(*each).subquery()
    return session.rows(select(every).order_by(every.c.app_id, every.c.kind))


def lock_live_bundle(session: WriteSession, app_id: str, name: str) -> RowMapping | None:
    """The bundle of this name, if it is not deleted; it will not be before the commit."""
    live = select(app_versions).where(
        app_versions.c.app_id == app_id, app_versions.c.name == name, ~app_versions.c.deleted
    )
    return session.first(live.with_for_update(read=True))


def put_override(session: WriteSession, channel: RowMapping, device_id: str) -> int:
    """Force a device onto a channel; 1 if it had no override before, else 0."""
    values = {"channel_id": channel["id"], "owner_org": channel["owner_org"], "updated_at": session.now}
    new = {"app_id": channel["app_id"], "device_id": device_id, "created_at": session.now}
    return _put(session, channel_devices, values, new)


def put_pin(session: WriteSession, app_id: str, device_id: str, bundle_id: int) -> int:
    """Pin a device to a bundle; 1 if it had no pin before, else 0."""
    values = {"app_version_id": bundle_id, "updated_at": session.now}
    return _put(session, device_pins, values, {"app_id": app_id, "device_id": device_id})


def delete_override(session: WriteSession, app_id: str, device_id: str) -> int:
    """How many were removed, 0 or 1."""
    return _delete(session, channel_devices, app_id, device_id)


def delete_pin(session: WriteSession, app_id: str, device_id: str) -> int:
    """How many were removed, 0 or 1."""
    return _delete(session, device_pins, app_id, device_id)


def align_choice(session: WriteSession, channel: RowMapping, device_id: str) -> None:
    """Have the device's own choice, which would go before the override, be the same channel; if it made one."""
    of_device = (channel_self_choices.c.app_id == channel["app_id"], channel_self_choices.c.device_id == device_id)
    values = {"channel_id": channel["id"], "updated_at": session.now}
    session.run(update(channel_self_choices).where(*of_device).values(values))


def delete_choice(session: WriteSession, app_id: str, device_id: str) -> int:
    """How many were removed, 0 or 1."""
    return _delete(session, channel_self_choices, app_id, device_id)


def _put(session: WriteSession, table: Table, values: dict[str, Any], new: dict[str, Any]) -> int:
    # Two statements instead of an upsert: whether the row is new must be known, and the app's lock keeps others away.
    of_device = (table.c.app_id == new["app_id"], table.c.device_id == new["device_id"])
    if session.run(update(table).where(*of_device).values(values)):
        return 0
    return session.run(insert(table).values({**new, **values}))


def _delete(session: WriteSession, table: Table, app_id: str, device_id: str) -> int:
    return session.run(delete(table).where(table.c.app_id == app_id, table.c.device_id == device_id))
