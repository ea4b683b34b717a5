"""What goes with every write of a channel, whoever writes it (contract: public 7.5).

A public channel takes the public place of the others on its platforms; a change of the bundle is a deployment; a change
of the rollout bundle begins a new rollout. All of it, the audit log and the counts of the app happen in the one
transaction of the write. The caller has checked rights and values and holds the app's lock.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from sqlalchemy import RowMapping

from capstan.access.principal import actor_of
from capstan.audit import service as audit
from capstan.channels import store
from capstan.db.counters import count_device_state, count_rollouts
from capstan.db.session import WriteSession
from capstan.updates.snapshot import PLATFORMS

Columns = Mapping[str, Any]


def create(session: WriteSession, columns: Columns) -> RowMapping:
    """Store a new channel; what `columns` leave out has the table's default, each platform's is true."""
    values = {"ios": True, "android": True, "electron": True, **columns}
    if values.get("public"):
        _demote_others(session, values, None)
    moment = {"created_at": session.now, "updated_at": session.now}
    row = store.insert_channel(session, {**values, **moment})
    _note_deployment(session, row)
    audit.inserted(session, "channels", row["owner_org"], row)
    _settle(session, row)
    return row


def change(session: WriteSession, current: RowMapping, columns: Columns) -> RowMapping:
    """Set columns of a channel and all that follows. What changes nothing is only recorded."""
    given = {**columns, **_new_rollout(current, columns)}
    changed = {name: value for name, value in given.items() if value != current[name]}
    if not changed:
        audit.updated(session, "channels", current["owner_org"], current, current)
        return current
    if {**current, **changed}["public"] and any(changed.get(name) for name in ("public", *PLATFORMS)):
        _demote_others(session, {**current, **changed}, current["id"])
    row = store.update_channel(session, current["id"], {**changed, "updated_at": session.now})
    if "version" in changed:
        _note_deployment(session, row)
    audit.updated(session, "channels", row["owner_org"], current, row)
    _settle(session, row)
    return row


def remove(session: WriteSession, channel: RowMapping) -> None:
    """Delete a channel with the devices' places on it, its deployments and grants; bundles stay."""
    overrides, choices = store.delete_channel(session, channel["id"])
    count_device_state(session, channel["app_id"], overrides=-overrides, choices=-choices)
    audit.deleted(session, "channels", channel["owner_org"], channel)
    _settle(session, channel)


def _new_rollout(current: RowMapping, columns: Columns) -> dict[str, Any]:
    """What a change of the rollout bundle brings (contract: device 6.1): a new draw of devices, and no pause.

    An update that takes the bundle away may say why; otherwise the reasons of the old rollout go with it.
    """
    target = columns.get("rollout_version", current["rollout_version"])
    if target == current["rollout_version"]:
        return {}
    cleared = {"rollout_pause_reason": None, "auto_pause_last_triggered_at": None}
    kept = {name: columns[name] for name in cleared if name in columns} if target is None else {}
    return {"rollout_id": str(uuid.uuid4()), "rollout_paused_at": None, **cleared, **kept}


def _demote_others(session: WriteSession, channel: Columns, own_id: int | None) -> None:
    platforms = [name for name in PLATFORMS if channel[name]]
    if not platforms:
        return
    for other in store.public_on(session, channel["app_id"], platforms):
        if other["id"] != own_id:
            change(session, other, {"public": False})


def _note_deployment(session: WriteSession, channel: RowMapping) -> None:
    if channel["version"] is None:
        return
    store.insert_deployment(
        session,
        {
            "channel_id": channel["id"],
            "version_id": channel["version"],
            "app_id": channel["app_id"],
            "owner_org": channel["owner_org"],
            "deployed_at": session.now,
            "created_by": actor_of(session.actor).user_id,
        },
    )


def _settle(session: WriteSession, channel: RowMapping) -> None:
    count_rollouts(session, channel["app_id"])
    session.touch_app(channel["app_id"])
