"""The rules of bundles: listing, deleting, external ones, metadata, and which one a channel offers (public 16).

How an uploaded zip becomes a bundle is in `publishing`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping

from capstan.access.check import allowed
from capstan.access.permissions import Permission
from capstan.access.principal import KeyPrincipal, Principal, actor_of
from capstan.apps import service as apps
from capstan.audit import service as audit
from capstan.bundles import store
from capstan.bundles.policy import MAX_KEY_ID, check_encryption, check_version_name
from capstan.channels import service as channels
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem
from capstan.statistics import service as statistics
from capstan.updates.snapshot import ManifestFile

MAX_FILES_SHOWN = 10_000
"""About 2 MB of an answer. A page of large bundles would have tens of megabytes otherwise."""

Manifests = Mapping[int, Sequence[ManifestFile]]


@dataclass(frozen=True, slots=True)
class ExternalBundle:
    """What is said about a bundle that somebody else hosts."""

    app_id: str
    version: str
    external_url: str
    checksum: str
    session_key: str | None = None
    key_id: str | None = None


def list_bundles(
    session: ReadSession,
    principal: Principal,
    app_id: str | None,
    *,
    offset: int,
    limit: int,
    version: str | None = None,
    bundle_id: int | None = None,
) -> tuple[Sequence[RowMapping], Manifests]:
    """`limit` bundles from `offset` on, newest first, and the files of those that have a manifest.

    Files are left out from the bundle on with which they would be more than `MAX_FILES_SHOWN`, the first one aside.
    Raises Problem `missing_app_id`, `invalid_app_id` or `cannot_get_bundle`.
    """
    app_id = readable_app(session, principal, app_id)
    rows = store.page(session, app_id, name=version, bundle_id=bundle_id, offset=offset, limit=limit)
    return rows, store.manifests(session, _shown_with_files(rows))


def readable_app(session: ReadSession, principal: Principal, app_id: str | None) -> str:
    """The id of an app whose bundles the principal may read. Raises as `list_bundles`."""
    app_id = apps.checked_app_id(app_id)
    if apps.permitted(session, principal, Permission.APP_READ_BUNDLES, app_id) is None:
        raise Problem("cannot_get_bundle", "You can't access this app", more={"app_id": app_id})
    return app_id


def delete(session: WriteSession, principal: Principal, app_id: str | None, version: str | None) -> None:
    """Delete one bundle softly: its name stays taken, its files go once nothing needs them (contract: device 4.7).

    Raises Problem `cannot_delete_bundle`, `cannot_delete_version` or `cannot_delete_linked_version`.
    """
    app_id = _deletable(session, principal, app_id)
    row = store.by_name(session, app_id, version, lock=True) if version else None
    if row is None or row["deleted"]:
        raise Problem("cannot_delete_version", "Cannot delete version", more={"app_id": app_id, "version": version})
    session.lock_app(app_id)
    if row["id"] in store.linked(session, app_id):
        raise Problem(
            "cannot_delete_linked_version",
            "Cannot delete a bundle linked to a channel",
            more={"app_id": app_id, "version": version},
        )
    _delete_softly(session, app_id, [row])


def delete_unlinked(session: WriteSession, principal: Principal, app_id: str | None) -> None:
    """Delete every bundle of an app that no channel uses. Raises Problem `cannot_delete_bundle`."""
    app_id = _deletable(session, principal, app_id)
    rows = store.lock_live(session, app_id)
    session.lock_app(app_id)
    linked = store.linked(session, app_id)
    _delete_softly(session, app_id, [row for row in rows if row["id"] not in linked])


def create_external(session: WriteSession, principal: Principal, new: ExternalBundle) -> RowMapping:
    """Register a bundle by its URL, which is not fetched. Raises Problem as contract public 16.3 lists."""
    check_version_name(new.version)
    app = uploadable_app(session, principal, new.app_id)
    if not new.external_url.startswith("https://"):
        raise Problem("invalid_protocol", "The URL of a bundle must begin with https://")
    policy = store.encryption_policy(session, app["owner_org"])
    check_encryption(policy, session_key=new.session_key, key_id=new.key_id)
    namesake = store.by_name(session, new.app_id, new.version)
    if namesake is not None and not namesake["deleted"]:
        raise version_taken(new.app_id, new.version)
    if namesake is not None or len(new.key_id or "") > MAX_KEY_ID:
        why = "key_id is too long" if namesake is None else "a deleted bundle has this name"
        raise Problem("cannot_create_bundle", "Cannot create bundle", more={"error": why})
    return insert(
        session,
        principal,
        app,
        {
            "name": new.version,
            "storage_provider": "external",
            "external_url": new.external_url,
            "checksum": new.checksum,
            "session_key": new.session_key,
            "key_id": new.key_id,
        },
    )


def set_channel(
    session: WriteSession, principal: Principal, app_id: str, version_id: int, channel_id: int
) -> tuple[RowMapping, RowMapping]:
    """Point a channel at a bundle; gives both rows. Raises Problem as contract public 16.4 lists."""
    app_id = apps.checked_app_id(app_id)
    channel = channels.find_by_id(session, app_id, channel_id)
    if not _may_promote(session, principal, app_id, channel):
        raise Problem(
            "cannot_access_app", "You can't access this app", more={"app_id": app_id, "channel_id": channel_id}
        )
    bundle = store.by_id(session, app_id, version_id, lock=True)
    if bundle is None or bundle["deleted"]:
        raise Problem("cannot_find_version", "Cannot find version", more={"version_id": version_id})
    if channel is None:
        raise Problem("cannot_find_channel", "Cannot find channel", more={"channel_id": channel_id})
    if bundle["storage_provider"] == "r2-direct":
        raise Problem(
            "cannot_set_bundle_to_channel",
            "The upload of this bundle is not finished",
            more={"app_id": app_id, "version": bundle["name"]},
        )
    channels.set_version(session, principal, channel, bundle)
    return bundle, channel


def set_metadata(
    session: WriteSession, principal: Principal, app_id: str, version_id: int, changes: Mapping[str, str | None]
) -> None:
    """Change `link` or `comment`; None clears. Raises Problem as contract public 16.5 lists."""
    app_id = apps.checked_app_id(app_id)
    app = apps.permitted(session, principal, Permission.APP_UPLOAD_BUNDLE, app_id)
    if app is None:
        raise Problem("cannot_update_bundle_metadata", "You can't access this app", more={"app_id": app_id})
    row = store.by_id(session, app_id, version_id, lock=True)
    if row is None:
        raise Problem("cannot_find_version", "Cannot find version", more={"version_id": version_id})
    if not changes:
        raise Problem("no_fields_to_update", "Neither link nor comment was given")
    updated = store.update_bundle(session, row["id"], {**changes, "updated_at": session.now})
    audit.updated(session, "app_versions", app["owner_org"], row, updated)
    session.touch_app(app_id)


def uploadable_app(session: ReadSession, principal: Principal, app_id: str) -> RowMapping:
    """The app if the principal may upload to it. Raises Problem `cannot_create_bundle`."""
    app = apps.permitted(session, principal, Permission.APP_UPLOAD_BUNDLE, app_id)
    if app is None:
        raise Problem("cannot_create_bundle", "You can't access this app", more={"app_id": app_id})
    return app


def version_taken(app_id: str, version: str) -> Problem:
    """The refusal of a name that a bundle has or, once published, had."""
    return Problem("version_already_exists", "Version already exists", more={"app_id": app_id, "version": version})


def insert(session: WriteSession, principal: Principal, app: RowMapping, values: Mapping[str, Any]) -> RowMapping:
    """Store a new bundle of an app on behalf of a principal who may do that."""
    row = store.insert_bundle(
        session,
        {
            "app_id": app["app_id"],
            "owner_org": app["owner_org"],
            "user_id": actor_of(principal).user_id,
            "created_by_apikey_rbac_id": principal.rbac_id if isinstance(principal, KeyPrincipal) else None,
            "created_at": session.now,
            "updated_at": session.now,
            **values,
        },
    )
    store.set_last_version(session, app["app_id"], row["name"])
    statistics.storage_changed(session, app["app_id"], app["owner_org"], row["size"])
    audit.inserted(session, "app_versions", app["owner_org"], row)
    session.touch_app(app["app_id"])
    return row


def _shown_with_files(rows: Sequence[RowMapping]) -> list[int]:
    bundle_ids: list[int] = []
    files = 0
    for row in rows:
        files += row["manifest_count"]
        if bundle_ids and files > MAX_FILES_SHOWN:
            break
        if row["manifest_count"]:
            bundle_ids.append(row["id"])
    return bundle_ids


def _deletable(session: ReadSession, principal: Principal, app_id: str | None) -> str:
    app_id = apps.checked_app_id(app_id)
    if apps.permitted(session, principal, Permission.BUNDLE_DELETE, app_id) is None:
        raise Problem("cannot_delete_bundle", "You can't access this app", more={"app_id": app_id})
    return app_id


def _delete_softly(session: WriteSession, app_id: str, rows: Sequence[RowMapping]) -> None:
    gone = {"deleted": True, "deleted_at": session.now, "updated_at": session.now, "manifest_count": 0, "size": 0}
    for row in rows:
        store.delete_manifest(session, row["id"])
        statistics.storage_changed(session, app_id, row["owner_org"], -row["size"])
        audit.updated(session, "app_versions", row["owner_org"], row, store.update_bundle(session, row["id"], gone))
    store.add_to_manifest_count(session, app_id, -sum(1 for row in rows if row["manifest_count"]))
    session.touch_app(app_id)


def _may_promote(session: ReadSession, principal: Principal, app_id: str, channel: RowMapping | None) -> bool:
    if channel is None:
        return apps.permitted(session, principal, Permission.CHANNEL_PROMOTE_BUNDLE, app_id) is not None
    return allowed(principal, Permission.CHANNEL_PROMOTE_BUNDLE, channels.scope_of(channel), session.now)
