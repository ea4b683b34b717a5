"""Bundles that wait for their files: a link to send the zip to, and a way to give up (contract: device 4.5)."""

from __future__ import annotations

from sqlalchemy import RowMapping

from capstan.access.permissions import Permission
from capstan.access.principal import Principal, actor_of
from capstan.apps import service as apps
from capstan.audit import service as audit
from capstan.bundles.store import add_to_manifest_count, touch_objects
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem
from capstan.files.keys import app_prefix, parse_key
from capstan.statistics import service as statistics
from capstan.uploads import store
from capstan.uploads.admission import already_ready
from capstan.uploads.links import Link


def find(session: ReadSession, principal: Principal, app_id: str | None, name: str | None) -> RowMapping:
    """The principal's own bundle of this name, if it waits for its files.

    Raises Problem `app_access_denied` or `error_version_not_found`. That an app does not exist is not told to somebody
    without a right on it, so there is no code for it.
    """
    if apps.permitted(session, principal, Permission.APP_UPLOAD_BUNDLE, app_id or "") is None:
        raise Problem("app_access_denied", "You can't access this app", more={"app_id": app_id})
    row = store.unfinished_bundle(session, app_id or "", name or "")
    if row is None or row["user_id"] != actor_of(principal).user_id:
        raise Problem("error_version_not_found", "Version not found", status=404, more={"app_id": app_id, "name": name})
    return row


def key_of(bundle: RowMapping) -> str:
    """Where the zip of a bundle goes. Raises `cannot_get_upload_link` for a name that no key can hold."""
    key = f"{app_prefix(bundle['owner_org'], bundle['app_id'])}/{bundle['name']}.zip"
    if parse_key(key) is None:
        raise Problem("cannot_get_upload_link", "The name of this bundle cannot be part of a path")
    return key


def expect_zip(session: WriteSession, bundle: RowMapping, key: str) -> None:
    """Note where the zip of a bundle will be."""
    session.lock_app(bundle["app_id"])
    store.expect_object(session, bundle["app_id"], key)
    audit.updated(session, "app_versions", bundle["owner_org"], bundle, store.set_path(session, bundle["id"], key))
    session.touch_app(bundle["app_id"])


def check_link(session: ReadSession, link: Link) -> None:
    """Raise Problem `bundle_already_ready` or `invalid_upload_link` if a link is good for nothing."""
    row = store.bundle_by_id(session, link.bundle_id)
    if row is None or row["deleted"] or row["r2_path"] != link.key:
        raise invalid_link()
    if row["storage_provider"] != "r2-direct":
        raise already_ready()
    if store.is_used(session, link.id):
        raise invalid_link()


def use_link(session: WriteSession, link: Link) -> None:
    """Use up a link. Raises as `check_link`."""
    check_link(session, link)
    if not store.use_link(session, link.id, link.expires_at):
        raise invalid_link()
    store.expect_object(session, link.app_id, link.key)


def free_link(session: WriteSession, link: Link) -> None:
    """Give a link back that was used in vain."""
    store.free_link(session, link.id)


def account_for(session: WriteSession, link: Link, size: int) -> None:
    """Note that the object of a link is stored."""
    touch_objects(session, link.app_id, {link.key: size})


def invalid_link() -> Problem:
    """The refusal of a link, whatever is wrong with it."""
    return Problem("invalid_upload_link", "This upload link is not valid, is over, or was used", status=403)


def abandonable(session: ReadSession, principal: Principal, app_id: str | None, name: str | None) -> RowMapping:
    """A bundle that waits for its files and may be removed by the principal.

    Raises Problem `not_authorized`, `error_bundle_name_missing` or `error_already_deleted`. Without an app nobody has
    a right, so the contract's codes for a missing or unknown app never come.
    """
    if apps.permitted(session, principal, Permission.BUNDLE_DELETE, app_id or "") is None:
        raise Problem("not_authorized", "Not authorized", status=401, more={"app_id": app_id})
    if not name:
        raise Problem("error_bundle_name_missing", "The name of the bundle is missing")
    row = store.unfinished_bundle(session, app_id or "", name)
    if row is None:
        raise Problem("error_already_deleted", "Already deleted", more={"app_id": app_id, "name": name})
    return row


def abandon(session: WriteSession, bundle: RowMapping) -> None:
    """Remove a bundle's row, so that its name is free again. Raises Problem `cannot_delete_linked_version`."""
    session.lock_app(bundle["app_id"])
    if store.is_linked(session, bundle["id"]):
        # The reference would become null, which means the native bundle: a fleet would be reset.
        raise Problem("cannot_delete_linked_version", "Cannot delete a bundle linked to a channel")
    store.delete_bundle(session, bundle["id"])
    statistics.storage_changed(session, bundle["app_id"], bundle["owner_org"], -bundle["size"])
    if bundle["manifest_count"]:
        add_to_manifest_count(session, bundle["app_id"], -1)
    audit.deleted(session, "app_versions", bundle["owner_org"], bundle)
    session.touch_app(bundle["app_id"])
