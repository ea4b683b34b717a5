"""The rules of channels: who may see, set and delete one, and what a request means (contract: public 14)."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping

from capstan.access.check import allowed, visible
from capstan.access.permissions import Permission
from capstan.access.principal import ChannelScope, Principal, actor_of
from capstan.apps import service as apps
from capstan.channels import preview, store, writes
from capstan.channels.asked import NO_BUNDLE, ROLLED_BACK, Asked, changes_rollout_target, checked_columns
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem

PAGE_SIZE = 50
MAX_NAME_LENGTH = 255
"""As long as the `default_channel` that a device may name (contract: public 7.6)."""

Bundles = Mapping[str | int, RowMapping]


@dataclass(frozen=True, slots=True)
class Saved:
    """A channel as it is now, and whether it is new."""

    row: RowMapping
    created: bool


def list_channels(session: ReadSession, principal: Principal, app_id: str | None, *, page: int) -> Sequence[RowMapping]:
    """A page of 50 channels of an app, oldest first, with the names of their bundles.

    Raises Problem `missing_app_id`, `invalid_app_id` or `cannot_access_app`.
    """
    app_id = _readable_app(session, principal, app_id)
    seen = visible(principal, Permission.CHANNEL_READ, session.now)
    return store.page(session, seen, app_id, offset=page * PAGE_SIZE, limit=PAGE_SIZE)


def read(session: ReadSession, principal: Principal, app_id: str | None, name: str) -> RowMapping:
    """One channel with the names of its bundles. Raises as `list_channels`, and Problem `cannot_find_version`."""
    app_id = _readable_app(session, principal, app_id)
    seen = visible(principal, Permission.CHANNEL_READ, session.now)
    row = store.find_visible(session, seen, app_id, name)
    if row is None:
        # The contract's own word for a missing channel here.
        raise Problem("cannot_find_version", "Cannot find version", more={"app_id": app_id, "channel": name})
    return row


def find(session: ReadSession, app_id: str, name: str) -> RowMapping | None:
    """The channel's row, whoever asks."""
    return store.find(session, app_id, name)


def find_by_id(session: ReadSession, app_id: str, channel_id: int) -> RowMapping | None:
    """As `find`."""
    return store.by_id(session, app_id, channel_id)


def scope_of(channel: RowMapping) -> ChannelScope:
    """Where rights on this channel are asked for."""
    return ChannelScope(channel["owner_org"], channel["app_id"], channel["rbac_id"])


def save(session: WriteSession, principal: Principal, app_id: str | None, name: str | None, asked: Asked) -> Saved:
    """Create a channel, or change what is asked of an existing one; nothing is written on failure.

    Raises Problem as contract public 14.2 lists, in its order.
    """
    app_id = apps.checked_app_id(app_id)
    if not name:
        raise _missing_name()
    bundles = _named_bundles(session, app_id, asked)
    session.lock_app(app_id)
    current = store.find(session, app_id, name)
    if current is None:
        return Saved(_create(session, principal, app_id, name, asked, bundles), created=True)
    return Saved(_change(session, principal, current, asked, bundles), created=False)


def set_version(session: WriteSession, principal: Principal, channel: RowMapping, bundle: RowMapping) -> RowMapping:
    """Offer a live bundle of the app on its channel; all that follows from a new version follows.

    The caller has checked `channel.promote_bundle` and locked the bundle. Raises Problem
    `cannot_set_bundle_to_channel` or, if the channel is gone meanwhile, `cannot_find_channel`.
    """
    session.lock_app(channel["app_id"])
    current = store.by_id(session, channel["app_id"], channel["id"])
    if current is None:
        raise _not_found(channel["app_id"], channel["name"])
    preview.check_bundle(principal, scope_of(current), bundle, session.now)
    return writes.change(session, current, {"version": bundle["id"]})


def delete(session: WriteSession, principal: Principal, app_id: str | None, name: str | None) -> None:
    """Delete a channel with its overrides; bundles stay. Raises Problem as contract public 14.3 lists."""
    app_id = apps.checked_app_id(app_id)
    if not name:
        raise _missing_name()
    session.lock_app(app_id)
    channel = store.find(session, app_id, name)
    # Who may not read the channel must not learn from the refusal that it exists.
    if channel is None or not allowed(principal, Permission.CHANNEL_READ, scope_of(channel), session.now):
        raise _not_found(app_id, name)
    if not allowed(principal, Permission.CHANNEL_DELETE, scope_of(channel), session.now):
        raise Problem(
            "cannot_access_app", "You can't access this app", more={"app_id": app_id, "channel_id": channel["id"]}
        )
    writes.remove(session, channel)


def _readable_app(session: ReadSession, principal: Principal, app_id: str | None) -> str:
    app_id = apps.checked_app_id(app_id)
    if apps.permitted(session, principal, Permission.APP_READ_CHANNELS, app_id) is None:
        raise _no_access(app_id)
    return app_id


def _create(
    session: WriteSession, principal: Principal, app_id: str, name: str, asked: Asked, bundles: Bundles
) -> RowMapping:
    app = apps.permitted(session, principal, Permission.APP_CREATE_CHANNEL, app_id)
    if app is None:
        raise _no_access(app_id)
    scope = ChannelScope(app["owner_org"], app_id, str(uuid.uuid4()))
    for_preview = preview.is_preview(principal, scope, session.now)
    has_bundle = asked.get("version") not in NO_BUNDLE
    if has_bundle and not for_preview:
        _require_promotion(session, principal, scope, name)
    columns = checked_columns(asked, session.now)
    if changes_rollout_target(asked):
        raise _not_found(app_id, name)
    if has_bundle:
        bundle = _named(bundles, asked["version"], app_id)
        preview.check_bundle(principal, scope, bundle, session.now)
        columns["version"] = bundle["id"]
    row = writes.create(session, {**_identity(session, scope, name), **columns})
    if for_preview:
        preview.grant(session, principal, scope, app["id"])
    return row


def _identity(session: WriteSession, scope: ChannelScope, name: str) -> dict[str, Any]:
    creator = actor_of(session.actor).user_id or store.creator_of_org(session, scope.org_id)
    return {
        "rbac_id": scope.channel_id,
        "name": name,
        "app_id": scope.app_id,
        "owner_org": scope.org_id,
        "created_by": creator,
        "rollout_id": str(uuid.uuid4()),
    }


def _change(
    session: WriteSession, principal: Principal, current: RowMapping, asked: Asked, bundles: Bundles
) -> RowMapping:
    app_id, name, scope = current["app_id"], current["name"], scope_of(current)
    if not allowed(principal, Permission.CHANNEL_UPDATE_SETTINGS, scope, session.now):
        raise _no_access(app_id)
    if "version" in asked:
        _require_promotion(session, principal, scope, name)
    columns = checked_columns(asked, session.now)
    if changes_rollout_target(asked):
        _require_promotion(session, principal, scope, name)
    if "version" in asked:
        wanted = asked["version"]
        columns["version"] = None if wanted in NO_BUNDLE else _named(bundles, wanted, app_id)["id"]
    return writes.change(session, current, {**columns, **_rollout_target(current, asked, columns, bundles)})


def _rollout_target(current: RowMapping, asked: Asked, columns: Mapping[str, Any], bundles: Bundles) -> dict[str, Any]:
    app_id, target = current["app_id"], current["rollout_version"]
    if asked.get("promote_to_stable"):
        if target is None:
            raise Problem("missing_rollout_version", "There is no rollout bundle to promote", more={"app_id": app_id})
        return {**ROLLED_BACK, "version": target}
    if asked.get("rollback"):
        return ROLLED_BACK
    if "rollout_version" not in asked:
        return {}
    if asked["rollout_version"] is None:
        return {"rollout_version": None}
    if columns.get("version", current["version"]) is None:
        raise Problem(
            "missing_stable_version", "A rollout needs a stable bundle on the channel", more={"app_id": app_id}
        )
    return {"rollout_version": _named(bundles, asked["rollout_version"], app_id)["id"]}


def _named_bundles(session: WriteSession, app_id: str, asked: Asked) -> Bundles:
    """The live bundles that are asked for, by name and by id; locked, because bundles are locked first."""
    wanted = {asked.get("version"), asked.get("rollout_version")} - NO_BUNDLE
    if not wanted:
        return {}
    names = [name for name in wanted if isinstance(name, str)]
    ids = [bundle_id for bundle_id in wanted if isinstance(bundle_id, int)]
    rows = store.lock_live_bundles(session, app_id, names, ids)
    return {**{row["name"]: row for row in rows}, **{row["id"]: row for row in rows}}


def _named(bundles: Bundles, wanted: str | int | None, app_id: str) -> RowMapping:
    bundle = bundles.get(wanted) if wanted is not None else None
    if bundle is None:
        raise Problem("cannot_find_version", "Cannot find version", more={"app_id": app_id, "version": wanted})
    if bundle["storage_provider"] == "r2-direct":
        raise Problem(
            "cannot_set_bundle_to_channel",
            "The upload of this bundle is not finished",
            more={"app_id": app_id, "version": bundle["name"]},
        )
    return bundle


def _require_promotion(session: WriteSession, principal: Principal, scope: ChannelScope, name: str) -> None:
    if not allowed(principal, Permission.CHANNEL_PROMOTE_BUNDLE, scope, session.now):
        raise Problem(
            "cannot_promote_bundle",
            "You can't change the bundle of this channel",
            more={"app_id": scope.app_id, "channel": name},
        )


def _no_access(app_id: str) -> Problem:
    return Problem("cannot_access_app", "You can't access this app", more={"app_id": app_id})


def _missing_name() -> Problem:
    return Problem("missing_channel_name", "You must provide a channel name")


def _not_found(app_id: str, name: str) -> Problem:
    return Problem("cannot_find_channel", "Cannot find channel", more={"app_id": app_id, "channel": name})
