"""Creating, changing and deleting organizations (contract: public 9.2 to 9.5).

Refusals that depend on the verb of the request are the caller's: `may_create` and `service.permitted` say whether.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, TypedDict

from sqlalchemy import RowMapping

from capstan.access.check import allowed
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, Installation, KeyPrincipal, OrgScope, Principal, UserPrincipal
from capstan.access.roles import RoleName
from capstan.apikeys.service import binding_row
from capstan.apps import service as apps
from capstan.audit import service as audit
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem
from capstan.organizations import service, store
from capstan.organizations.markup import without_markup
from capstan.organizations.website import normalized_website

MIN_NAME = 3
FINGERPRINT_LENGTHS = (20, 21)
MAX_EXPIRATION_DAYS = 365

# Contract: public 7.1.
EMAIL_PREFERENCES = (
    "onboarding",
    "usage_limit",
    "credit_usage",
    "device_error",
    "weekly_stats",
    "monthly_stats",
    "bundle_created",
    "bundle_deployed",
    "deploy_stats_24h",
    "billing_period_stats",
    "channel_self_rejected",
)


@dataclass(frozen=True, slots=True)
class NewOrganization:
    """What is said about an organization at its creation, every member well-formed (`website` normalized)."""

    name: str
    email: str | None = None
    website: str | None = None
    intent: str = "unknown"


class Settings(TypedDict, total=False):
    """What is to be changed; what is left out stays. `website` is normalized."""

    name: str
    logo: str
    website: str | None
    management_email: str
    require_apikey_expiration: bool
    max_apikey_expiration_days: int | None
    enforce_hashed_api_keys: bool
    enforce_encrypted_bundles: bool
    required_encryption_key: str | None
    enforcing_2fa: bool
    password_policy_config: dict[str, Any] | None


def checked_name(name: str) -> str:
    """A name without markup. Raises Problem `invalid_body` when nothing is left of it."""
    name = without_markup(name)
    if not name:
        raise Problem("invalid_body", "Invalid body", more={"error": "sanitized_name_empty"})
    return name


def checked_website(text: str | None) -> str | None:
    """A website in the form that is stored. Raises Problem `invalid_body`."""
    try:
        return normalized_website(text) if text is not None else None
    except ValueError:
        more = {"error": "website_must_be_a_valid_url"}
        raise Problem("invalid_body", "Invalid body", more=more) from None


def may_create(session: ReadSession, principal: Principal) -> bool:
    return allowed(principal, Permission.ORG_CREATE, Installation(), session.now)


def create(session: WriteSession, principal: Principal, new: NewOrganization) -> RowMapping:
    """Create an organization of which the person becomes super administrator, and so does the key that asks.

    Raises Problem `cannot_get_user` or `cannot_create_org`.
    """
    user_id, email = _person(principal)
    org_id = str(uuid.uuid4())
    dates = {"created_at": session.now, "updated_at": session.now}
    org = store.insert_org(
        session,
        {
            "id": org_id,
            "created_by": user_id,
            "name": new.name,
            "management_email": new.email or email,
            "website": new.website,
            "email_preferences": dict.fromkeys(EMAIL_PREFERENCES, True),
            "onboarding": {"intent": new.intent},
            **dates,
        },
    )
    if org is None:
        more = {"error": "You have an organization of this name already"}
        raise Problem("cannot_create_org", "Cannot create org", more=more)
    role = RoleName.ORG_SUPER_ADMIN
    member = {"user_id": user_id, "org_id": org_id, "rbac_role_name": role, **dates}
    audit.inserted(session, "orgs", org_id, org)
    audit.inserted(session, "org_users", org_id, store.insert_member(session, member))
    holders = [("user", user_id)]
    if isinstance(principal, KeyPrincipal):
        holders.append(("apikey", principal.rbac_id))
    binding = Binding.on_org(role, org_id)
    rows = [binding_row(session, kind, holder, binding, granted_by=user_id) for kind, holder in holders]
    store.insert_bindings(session, rows)
    return org


def update(session: WriteSession, principal: Principal, org_id: str, asked: Settings) -> RowMapping:
    """Change the settings of an organization in which the principal may do so; the row as it is now.

    The checks come in the contract's order (public 9.4). Raises Problem as it lists.
    """
    org = store.find_locked(session, org_id)
    assert org is not None, "whoever calls has asked for the right"
    service.refuse_lasting_key(principal, org)
    if asked.get("enforcing_2fa") and isinstance(principal, UserPrincipal):
        # Accounts of this server have no second factor, so nobody can demand one.
        message = "You must enable 2FA before enforcing it for your organization"
        raise Problem("requires_2fa_to_enforce_2fa", message)
    columns = _checked(asked)
    if asked.get("enforcing_2fa") and not org["enforcing_2fa"]:
        # A key must not be able to lock people out (CD-15).
        more = {"error": "A second factor can be demanded by a person only"}
        raise Problem("cannot_update_org", "Cannot update org", more=more)
    if not columns:
        return org
    changed = store.update_org(session, org_id, columns)
    audit.updated(session, "orgs", org_id, org, changed)
    return changed


def delete(session: WriteSession, principal: Principal, org_id: str | None) -> None:
    """Delete an organization with everything in it. Raises Problem `missing_org_id` or `invalid_org_id`."""
    if not org_id:
        raise Problem("missing_org_id", "Missing orgId")
    if not allowed(principal, Permission.ORG_DELETE, OrgScope(org_id), session.now):
        message = "You can't delete this organization"
        raise Problem("invalid_org_id", message, status=403, more={"org_id": org_id})
    _delete_apps(session, principal, org_id)
    # Apps are locked before the rest, so the organization comes after them; what was added meanwhile goes now.
    store.lock_against_additions(session, org_id)
    _delete_apps(session, principal, org_id)
    store.delete_org(session, org_id)


def _delete_apps(session: WriteSession, principal: Principal, org_id: str) -> None:
    for app_id in store.app_ids(session, org_id):
        apps.delete(session, principal, app_id)


def _person(principal: Principal) -> tuple[str, str]:
    """Id and address of the person who calls, or owns the key that does. Raises Problem `cannot_get_user`."""
    assert isinstance(principal, UserPrincipal | KeyPrincipal), "organizations belong to people"
    email = principal.user_email if isinstance(principal, KeyPrincipal) else principal.email
    if not email:
        raise Problem("cannot_get_user", "Cannot get user")
    return principal.user_id, email


def _checked(asked: Settings) -> dict[str, Any]:
    columns: dict[str, Any] = dict(asked)
    days = asked.get("max_apikey_expiration_days")
    if days is not None and not 1 <= days <= MAX_EXPIRATION_DAYS:
        message = f"Maximum expiration days must be between 1 and {MAX_EXPIRATION_DAYS}"
        raise Problem("invalid_max_expiration_days", message)
    if "required_encryption_key" in asked:
        columns["required_encryption_key"] = _fingerprint(asked["required_encryption_key"])
    if "name" in asked:
        columns["name"] = checked_name(asked["name"])
    if "logo" in asked:
        columns["logo"] = without_markup(asked["logo"]) or None
    return columns


def _fingerprint(text: str | None) -> str | None:
    text = (text or "").strip()
    if text and len(text) not in FINGERPRINT_LENGTHS:
        message = "Encryption key fingerprint must be 20 or 21 characters"
        raise Problem("invalid_required_encryption_key", message)
    return text or None
