"""The rules of API keys: who stands behind a secret, and how keys come and go (contract: public 3.4, 8.4, 12)."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from capstan.access.keys import SecretBox, key_hash, mint_key
from capstan.access.modes import mode_global_permissions, org_mode_role
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, KeyMode, KeyPrincipal
from capstan.access.roles import HIGHEST_RANK
from capstan.access.subkeys import is_limited
from capstan.apikeys import store
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem


@dataclass(frozen=True, slots=True)
class MintedKey:
    """A new key and its secret, which is shown now and, unless the key is hashed, can be opened again later."""

    key_id: int
    name: str
    secret: str


def principal_of_secret(session: ReadSession, secret: str) -> KeyPrincipal | None:
    """The key with this secret, or None if it is unknown, expired, or plain where only hashed keys are accepted."""
    row = store.by_hash(session, key_hash(secret))
    return _usable(session, row) if row is not None else None


def sub_key(session: ReadSession, parent: KeyPrincipal, key_id: int) -> KeyPrincipal:
    """The key that `parent` acts as (contract: public 3.5). Raises Problem `invalid_subkey`."""
    row = store.by_id(session, key_id)
    principal = _usable(session, row) if row is not None and row["user_id"] == parent.user_id else None
    if row is None or principal is None or row["key_sealed"] is None:
        raise Problem("invalid_subkey", "Invalid subkey", status=401)
    if not is_limited(principal.bindings, store.orgs_of_member(session, parent.user_id), session.now):
        raise Problem("invalid_subkey", "Invalid subkey, no limited apps or orgs", status=401)
    return KeyPrincipal(
        principal.key_id,
        principal.rbac_id,
        principal.user_id,
        principal.user_email,
        principal.name,
        principal.bindings,
        principal.global_permissions,
        principal.mode,
        principal.expires_at,
        parent,
    )


def bindings_of(session: ReadSession, principal_id: str) -> tuple[Binding, ...]:
    """What a user or key was given; expired bindings are included and count for nothing."""
    return tuple(
        Binding(
            row["role_name"],
            row["scope_type"],
            row["org_id"],
            row["app_name"],
            row["app_id"],
            row["channel_id"],
            row["expires_at"],
        )
        for row in store.bindings_of(session, principal_id)
    )


def create_with_mode(
    session: WriteSession,
    box: SecretBox,
    *,
    user_id: str,
    org_id: str,
    mode: KeyMode,
    name: str | None = None,
    creator_rank: int = HIGHEST_RANK,
    expires_at: datetime | None = None,
) -> MintedKey:
    """Make a key that covers an organization with a mode (contract: public 8.4, CD-11).

    `creator_rank` bounds what mode `all` becomes. Raises Problem `forbidden_binding` when it is too low for the mode.
    """
    role = org_mode_role(mode, creator_rank)
    if role is None:
        raise Problem("forbidden_binding", f"A key of mode {mode} is above the creator's own rank", status=403)
    secret, rbac_id = mint_key(), str(uuid.uuid4())
    row = store.insert_key(
        session,
        {
            "rbac_id": rbac_id,
            "user_id": user_id,
            "name": name or "",
            "key_hash": key_hash(secret),
            "key_sealed": box.seal(secret, f"apikey:{rbac_id}"),
            "mode": mode,
            "created_at": session.now,
            "updated_at": session.now,
            "expires_at": expires_at,
        },
    )
    if not name:
        name = f"Apikey {row['id']}"
        store.rename(session, row["id"], name)
    store.insert_bindings(session, [binding_row(session, "apikey", rbac_id, Binding.on_org(role, org_id))])
    for permission in mode_global_permissions(mode, limited_to_apps=False, creator_may_create_orgs=True):
        store.insert_global_permission(session, rbac_id, permission, user_id)
    return MintedKey(row["id"], name, secret)


def binding_row(session: WriteSession, principal_type: str, principal_id: str, binding: Binding) -> dict[str, Any]:
    """The row that keeps a binding."""
    return {
        "id": str(uuid.uuid4()),
        "principal_type": principal_type,
        "principal_id": principal_id,
        "role_name": binding.role,
        "scope_type": binding.scope_type,
        "org_id": binding.org_id,
        "app_id": binding.app_uuid,
        "channel_id": binding.channel_id,
        "granted_at": session.now,
        "expires_at": binding.expires_at,
    }


def revoke(session: WriteSession, key_id: int) -> None:
    """Delete a key; it stops working with this commit. Raises Problem `api_key_not_found`."""
    row = store.by_id(session, key_id)
    if row is None:
        raise Problem("api_key_not_found", f"There is no API key {key_id}", status=404)
    store.delete_key(session, key_id, row["rbac_id"])


def all_keys(session: ReadSession) -> Iterable[RowMapping]:
    """Every key of the installation, for its operator."""
    return store.all_keys(session)


def _usable(session: ReadSession, row: RowMapping) -> KeyPrincipal | None:
    if row["expires_at"] is not None and row["expires_at"] <= session.now:
        return None
    bindings = bindings_of(session, row["rbac_id"])
    org_ids = sorted({binding.org_id for binding in bindings})
    if row["key_sealed"] is not None and store.has_org_that_refuses_plain_keys(session, org_ids):
        return None
    permissions = store.global_permissions_of(session, row["rbac_id"])
    return KeyPrincipal(
        row["id"],
        row["rbac_id"],
        row["user_id"],
        row["user_email"],
        row["name"],
        bindings,
        frozenset(Permission(name) for name in permissions),
        row["mode"],
        row["expires_at"],
    )
