"""Who may upload to a key, and when it is too late (contract: device 4.3, the checks between key and headers)."""

from __future__ import annotations

from capstan.access.permissions import Permission
from capstan.access.principal import Principal
from capstan.apps import service as apps
from capstan.db.session import ReadSession
from capstan.errors import Problem
from capstan.files.keys import AppKey
from capstan.updates.decision import Need, plan_allows
from capstan.uploads import store

_NEEDS: tuple[Need, ...] = ("mau", "bandwidth", "storage")


def admit(session: ReadSession, principal: Principal, key: AppKey) -> None:
    """Refuse whoever may not upload to this key.

    Raises Problem `insufficient_permissions`, `owner_org_mismatch`, `on_premise_app` or `bundle_already_ready`. That an
    app does not exist is not told to somebody without a right on it, so there is no code for it.
    """
    app = apps.permitted(session, principal, Permission.APP_UPLOAD_BUNDLE, key.app_id)
    if app is None:
        raise Problem(
            "insufficient_permissions",
            "You don't have permission to access this app",
            status=403,
            more={"app_id": key.app_id},
        )
    if app["owner_org"] != key.org_id:
        raise Problem(
            "owner_org_mismatch",
            "The organization in the path does not own this app",
            status=403,
            more={"app_id": key.app_id, "org_id": key.org_id},
        )
    if not plan_allows(store.plan(session, key.org_id), _NEEDS, session.now.date()):
        raise Problem("on_premise_app", "On-premise app detected", status=429)
    if store.is_zip_of_finished_bundle(session, key.app_id, key.key):
        raise already_ready()


def already_ready() -> Problem:
    """The refusal to touch what is released."""
    return Problem(
        "bundle_already_ready",
        "Bundle content cannot be changed after upload is complete. Upload a new bundle instead.",
        status=409,
    )
