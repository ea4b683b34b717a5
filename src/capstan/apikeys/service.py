"""The rules of API keys: who stands behind a secret, and how keys come and go (contract: public 3.4, 8.4, 12)."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Sequence
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


@dataclass(frozen=True, slots=True)
class Grant:
    """A binding that a key is given, and what its giver said it is for."""

    binding: Binding
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key to be made. Without a name it is called after its id; `mode` is kept for display only."""

    user_id: str
    grants: Sequence[Grant]
    global_permissions: Collection[Permission] = ()
    name: str | None = None
    mode: KeyMode | None = None
    expires_at: datetime | None = None
    hashed: bool = False
    granted_by: str | None = None


def principal_of_secret(session: ReadSession, secret: str) -> KeyPrincipal | None:
    """The key with this secret, or None if it is unknown, expired, or plain where only hashed keys are accepted."""
    row = row_of_secret(session, secret)
    return _usable(session, row) if row is not None else None


def row_of_secret(session: ReadSession, secret: str) -> RowMapping | None:
    """The key with this secret, whether it may still be used or not."""
    return store.by_hash(session, key_hash(secret))


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
    return tuple(binding_of(row) for row in store.bindings_of(session, principal_id))


def binding_of(row: RowMapping) -> Binding:
    """The binding that a row keeps."""
    return Binding(
        row["role_name"],
        row["scope_type"],
        row["org_id"],
        row["app_name"],
        row["app_id"],
        row["channel_id"],
        row["expires_at"],
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
    permissions = mode_global_permissions(mode, limited_to_apps=False, creator_may_create_orgs=True)
    new = NewKey(
        user_id=user_id,
        grants=(Grant(Binding.on_org(role, org_id)),),
        global_permissions=permissions,
        name=name,
        mode=mode,
        expires_at=expires_at,
        granted_by=user_id,
    )
    return mint(session, box, new)


def mint(session: WriteSession, box: SecretBox, new: NewKey) -> MintedKey:
    """Make a key with everything that it is given. Whether it may be given is asked before."""
    rbac_id = str(uuid.uuid4())
    secret, kept = new_secret(box, rbac_id, hashed=new.hashed)
    row = store.insert_key(
        session,
        {
            "rbac_id": rbac_id,
            "user_id": new.user_id,
            "name": new.name or "",
            **kept,
            "mode": new.mode,
            "created_at": session.now,
            "updated_at": session.now,
            "expires_at": new.expires_at,
        },
    )
    name = new.name or default_name(row["id"])
    if name != row["name"]:
        store.update_key(session, row["id"], {"name": name})
    give(session, rbac_id, new.grants, granted_by=new.granted_by)
    for permission in new.global_permissions:
        store.insert_global_permission(session, rbac_id, permission, new.granted_by)
    return MintedKey(row["id"], name, secret)


def new_secret(box: SecretBox, rbac_id: str, *, hashed: bool) -> tuple[str, dict[str, Any]]:
    """A new secret, and the columns by which it is found and, unless it is `hashed`, shown again."""
    secret = mint_key()
    return secret, {
        "key_hash": key_hash(secret),
        "key_sealed": None if hashed else box.seal(secret, seal_place(rbac_id)),
    }


def seal_place(rbac_id: str) -> str:
    """Where the secret of a key is sealed for."""
    return f"apikey:{rbac_id}"


def default_name(key_id: int) -> str:
    """What a key is called that was given no name (contract: public 7.2)."""
    return f"Apikey {key_id}"


def give(session: WriteSession, rbac_id: str, grants: Iterable[Grant], *, granted_by: str | None) -> None:
    """Store what a key is given."""
    rows = [
        binding_row(session, "apikey", rbac_id, grant.binding, granted_by=granted_by, reason=grant.reason)
        for grant in grants
    ]
    store.insert_bindings(session, rows)


def binding_row(
    session: WriteSession,
    principal_type: str,
    principal_id: str,
    binding: Binding,
    *,
    granted_by: str | None = None,
    reason: str | None = None,
) -> dict[str, Any]:
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
        "granted_by": granted_by,
        "granted_at": session.now,
        "expires_at": binding.expires_at,
        "reason": reason,
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
