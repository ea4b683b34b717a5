"""Changing keys: name, expiry, secret, power (contract: public 12.4).

The checks come in the contract's order, so the members of a request arrive here as they were sent.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypedDict

from capstan.access.check import administered_orgs
from capstan.access.keys import SecretBox
from capstan.access.permissions import Permission
from capstan.access.principal import KeyPrincipal, Principal
from capstan.apikeys import granting, keyring, policies, store
from capstan.apikeys.granting import AskedBinding
from capstan.apikeys.keyring import ApiKey
from capstan.apikeys.service import default_name, give, new_secret
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem

_CODE = "cannot_update_apikey"


class AskedChange(TypedDict, total=False):
    """The members of a request that were sent, unchecked."""

    id: object
    name: object
    expires_at: object
    regenerate: object
    bindings: object
    global_permissions: object


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be changed, each member well-formed. None: it stays (`sets_expiry` says so for the expiry)."""

    name: str | None
    sets_expiry: bool
    expires_at: datetime | None
    regenerate: bool
    bindings: tuple[AskedBinding, ...] | None
    global_permissions: frozenset[Permission] | None

    @property
    def alters_power(self) -> bool:
        return self.bindings is not None or self.global_permissions is not None

    @property
    def is_empty(self) -> bool:
        return not (self.alters_power or self.sets_expiry or self.regenerate) and self.name is None


def update(
    session: WriteSession, box: SecretBox, principal: Principal, asked: AskedChange
) -> tuple[ApiKey, str | None]:
    """Change a key: the key as it is now, and its secret if it got a new one. Raises Problem as the contract lists."""
    keyring.refuse_non_manager(session, principal, _CODE)
    identifier, change = _read(asked, session.now)
    key = keyring.find(session, principal, identifier)
    if key is None:
        message = "API key not found or access denied"
        raise Problem("api_key_not_found_or_access_denied", message, status=404)
    store.lock(session, key.row["id"])
    key = keyring.load(session, key.row["id"])
    _refuse_caller(session, principal, key, change)
    named = granting.organizations_of(change.bindings or ())
    if change.alters_power:
        granting.require(session, principal, Permission.ORG_UPDATE_USER_ROLES, sorted({*key.org_ids, *named}))
        granting.refuse_global_permissions(change.global_permissions or (), _org_roles(session, key, change))
    if change.sets_expiry or change.bindings is not None:
        org_ids = key.org_ids if change.bindings is None else named
        expires_at = change.expires_at if change.sets_expiry else key.row["expires_at"]
        policies.refuse_expiry(session, principal, org_ids, expires_at)
    if change.alters_power:
        _alter_power(session, principal, key, change)
    secret, columns = _columns(box, key, change)
    store.update_key(session, key.row["id"], {**columns, "updated_at": session.now})
    return keyring.load(session, key.row["id"]), secret


def _read(asked: AskedChange, now: datetime) -> tuple[int | str, Change]:
    bindings = granting.asked_bindings(asked["bindings"]) if "bindings" in asked else None
    if bindings == ():
        raise Problem("bindings_required", "At least one binding is required")
    permissions = None
    if "global_permissions" in asked:
        permissions = granting.asked_global_permissions(asked["global_permissions"])
    identifier = _identifier(asked.get("id"))
    expires_at = policies.parsed_expiry(asked.get("expires_at"), now)
    name = asked.get("name", "")
    if not isinstance(name, str):
        raise Problem("name_must_be_a_string", "Name must be a string")
    regenerate = _flag(asked.get("regenerate", False))
    change = Change(
        name=name if "name" in asked else None,
        sets_expiry="expires_at" in asked,
        expires_at=expires_at,
        regenerate=regenerate,
        bindings=bindings,
        global_permissions=permissions,
    )
    if change.is_empty:
        raise Problem("no_valid_fields_provided_for_update", "No valid fields provided for update")
    return identifier, change


def _identifier(value: object) -> int | str:
    if value is None or value == "":
        raise Problem("api_key_id_required", "API key ID is required")
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise Problem("invalid_id_format", "The id of an API key is its number or its secret")
    return keyring.identified(str(value))


def _flag(value: object) -> bool:
    # A query has no booleans, only their names (CD-2).
    if isinstance(value, bool) or value in ("true", "false"):
        return value in (True, "true")
    raise Problem("regenerate_must_be_boolean", "Regenerate must be a boolean")


def _refuse_caller(session: ReadSession, principal: Principal, key: ApiKey, change: Change) -> None:
    if keyring.is_caller(principal, key):
        raise Problem(_CODE, "API keys cannot update themselves", status=401)
    if isinstance(principal, KeyPrincipal) and change.alters_power:
        raise Problem(_CODE, "API keys cannot change the permissions of API keys", status=401)
    keyring.refuse_unmanaged(session, principal, key, _CODE)
    if isinstance(principal, KeyPrincipal) and change.regenerate and keyring.stands_above(session, key, principal):
        # The new secret is in the answer: a key would take the power of one that stands above it.
        raise Problem(_CODE, "API keys cannot renew the secret of API keys that stand above them", status=401)


def _org_roles(session: ReadSession, key: ApiKey, change: Change) -> Collection[str]:
    """The roles on organizations that the key will have."""
    if change.bindings is not None:
        return {binding.role_name for binding in change.bindings if binding.scope_type == "org"}
    return {b.role for b in key.bindings if b.scope_type == "org" and b.is_live(session.now)}


def _alter_power(session: WriteSession, principal: Principal, key: ApiKey, change: Change) -> None:
    rbac_id, granted_by = key.row["rbac_id"], keyring.user_of(principal)
    bindings = key.bindings
    if change.bindings is not None:
        grants = granting.resolved(session, principal, change.bindings)
        granting.refuse_two_roles(grants, "duplicate_binding", 409)
        store.delete_bindings(session, rbac_id)
        give(session, rbac_id, grants, granted_by=granted_by)
        bindings = tuple(grant.binding for grant in grants)
    permissions = set(key.global_permissions if change.global_permissions is None else change.global_permissions)
    if not administered_orgs(bindings, session.now):
        # Who administers no organization creates none either.
        permissions.discard(Permission.ORG_CREATE)
    store.delete_global_permissions(session, rbac_id)
    for permission in sorted(permissions):
        store.insert_global_permission(session, rbac_id, permission, granted_by)


def _columns(box: SecretBox, key: ApiKey, change: Change) -> tuple[str | None, dict[str, Any]]:
    """The new secret, if there is one, and the columns that change."""
    columns: dict[str, Any] = {}
    if change.name is not None:
        columns["name"] = change.name or default_name(key.row["id"])
    if change.sets_expiry:
        columns["expires_at"] = change.expires_at
    if change.bindings is not None:
        # The mode was what the old bindings meant (contract: public 8.5).
        columns["mode"] = None
    if not change.regenerate:
        return None, columns
    secret, kept = new_secret(box, key.row["rbac_id"], hashed=key.is_hashed)
    return secret, {**columns, **kept}
