"""The rules of apps: who may see, create and delete one (contract: public 13)."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from capstan.access.check import allowed, visible
from capstan.access.permissions import Permission
from capstan.access.principal import AppScope, OrgScope, Principal
from capstan.apps import store
from capstan.audit import service as audit
from capstan.db.session import ReadSession, WriteSession, first_revision
from capstan.errors import Problem
from capstan.statistics import service as statistics
from capstan.updates.fields import is_app_id

MAX_PAGE = 1000
DEFAULT_RETENTION_SECONDS = 2_592_000


@dataclass(frozen=True, slots=True)
class NewApp:
    """What is said about an app when it is created."""

    app_id: str
    name: str
    owner_org: str
    icon_url: str = ""
    need_onboarding: bool = False
    existing_app: bool = False
    ios_store_url: str | None = None
    android_store_url: str | None = None


def permitted(session: ReadSession, principal: Principal, permission: Permission, app_id: str) -> RowMapping | None:
    """The app if it exists and the principal may do this to it, else None: the two must look alike from outside."""
    row = store.find(session, app_id)
    if row is None or not allowed(principal, permission, AppScope(row["owner_org"], app_id), session.now):
        return None
    return row


def checked_app_id(app_id: str | None) -> str:
    """A well-formed app id. Raises Problem `missing_app_id` or `invalid_app_id` (contract: public 4.4)."""
    if not app_id:
        raise Problem("missing_app_id", "Missing app_id")
    if not is_app_id(app_id):
        raise Problem("invalid_app_id", "App ID must be a reverse domain string", more={"app_id": app_id})
    return app_id


def read(session: ReadSession, principal: Principal, app_id: str | None) -> RowMapping:
    """One app. Raises Problem as contract public 13 lists for GET /app/:id."""
    app_id = checked_app_id(app_id)
    row = permitted(session, principal, Permission.APP_READ, app_id)
    if row is None:
        raise Problem("cannot_access_app", "You can't access this app", status=401, more={"app_id": app_id})
    return row


def list_apps(
    session: ReadSession, principal: Principal, org_id: str | None, *, page: int, limit: int
) -> Sequence[RowMapping]:
    """Apps whose organization or self the principal may read, oldest first, `limit` (at most 1000) a page."""
    if org_id and not allowed(principal, Permission.ORG_READ, OrgScope(org_id), session.now):
        raise Problem(
            "user_does_not_have_access_to_this_organization",
            "You can't access this organization",
            more={"org_id": org_id},
        )
    seen = visible(principal, Permission.APP_READ, session.now)
    limit = min(limit, MAX_PAGE)
    return store.page(session, seen, org_id or None, offset=page * limit, limit=limit)


def create(session: WriteSession, principal: Principal, new: NewApp) -> RowMapping:
    """Create an app. Raises Problem `cannot_access_organization` or `app_id_already_exists`."""
    if not allowed(principal, Permission.ORG_CREATE_APP, OrgScope(new.owner_org), session.now):
        raise Problem(
            "cannot_access_organization",
            "You can't access this organization",
            status=403,
            more={"org_id": new.owner_org},
        )
    if store.find(session, new.app_id) is not None:
        raise Problem("app_id_already_exists", "App ID already exists", status=409, more={"app_id": new.app_id})
    row = store.insert_app(
        session,
        {
            "id": str(uuid.uuid4()),
            "app_id": new.app_id,
            "name": new.name,
            "icon_url": new.icon_url,
            "user_id": store.creator_of_org(session, new.owner_org),
            "owner_org": new.owner_org,
            "created_at": session.now,
            "updated_at": session.now,
            "retention": DEFAULT_RETENTION_SECONDS,
            "default_upload_channel": "dev",
            "need_onboarding": new.need_onboarding,
            "existing_app": new.existing_app,
            "ios_store_url": new.ios_store_url,
            "android_store_url": new.android_store_url,
            "build_timeout_updated_at": session.now,
            "revision": first_revision(session.now),
        },
    )
    audit.inserted(session, "apps", new.owner_org, row)
    session.touch_app(new.app_id)
    return row


def delete(session: WriteSession, principal: Principal, app_id: str | None) -> None:
    """Delete an app with its channels, bundles, overrides and pins. Raises Problem `cannot_delete_app`."""
    app_id = checked_app_id(app_id)
    row = permitted(session, principal, Permission.APP_DELETE, app_id)
    if row is None:
        raise Problem("cannot_delete_app", "You can't delete this app", more={"app_id": app_id})
    store.lock_bundles(session, app_id)
    session.lock_app(app_id)
    statistics.app_deleted(session, app_id, row["owner_org"])
    store.delete_app(session, app_id)
    audit.deleted(session, "apps", row["owner_org"], row)
    session.touch_app(app_id)
