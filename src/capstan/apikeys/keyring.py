"""Who may see and manage which keys, and what is shown of one (contract: public 12.1, 12.2).

A person manages the own keys. A key manages keys of the same person as far as its own management right reaches, and
never itself. Keys of other people are as if they were not there.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import RowMapping

from capstan.access.check import top_rank, visible
from capstan.access.keys import HASHED_KEY_MASK, SealBroken, SecretBox, masked_key
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, KeyPrincipal, Principal, UserPrincipal
from capstan.access.roles import ROLES
from capstan.apikeys import service, store
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem

_DECIMAL = re.compile(r"[0-9]{1,18}", re.ASCII)
_SECRET = re.compile(r"[A-Za-z0-9._:-]{8,256}", re.ASCII)
_NO_MANAGER = "API key management requires RBAC org role management permission"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key with everything that gives it power."""

    row: RowMapping
    bindings: tuple[Binding, ...]
    global_permissions: tuple[str, ...]

    @property
    def is_hashed(self) -> bool:
        return self.row["key_sealed"] is None

    @property
    def org_ids(self) -> frozenset[str]:
        return frozenset(binding.org_id for binding in self.bindings)


def user_of(principal: Principal) -> str:
    """The person who calls, or who owns the key that does."""
    assert isinstance(principal, UserPrincipal | KeyPrincipal), "keys belong to people"
    return principal.user_id


def list_keys(session: ReadSession, principal: Principal, *, shows_caller: bool) -> list[ApiKey]:
    """The keys that the principal may manage, oldest first; with `shows_caller` also the key that asks (CD-21).

    Raises Problem `cannot_list_apikeys` for a key that manages nothing and is not to be shown itself.
    """
    if not shows_caller:
        refuse_non_manager(session, principal, "cannot_list_apikeys")
    return [
        key
        for key in _keys_of_user(session, user_of(principal))
        if may_manage(session, principal, key) or (shows_caller and is_caller(principal, key))
    ]


def read(session: ReadSession, principal: Principal, identifier: str) -> ApiKey:
    """One key. Raises Problem `cannot_get_apikey`, `invalid_id_format` or `failed_to_get_apikey`."""
    refuse_non_manager(session, principal, "cannot_get_apikey")
    key = find(session, principal, identified(identifier))
    if key is None:
        raise Problem("failed_to_get_apikey", "Failed to get API key", status=404)
    refuse_unmanaged(session, principal, key, "cannot_get_apikey")
    return key


def delete(session: WriteSession, principal: Principal, identifier: str) -> None:
    """Delete a key. Raises Problem `cannot_delete_apikey`, `invalid_id_format` or `api_key_not_found`."""
    refuse_non_manager(session, principal, "cannot_delete_apikey")
    key = find(session, principal, identified(identifier))
    if key is None:
        raise Problem("api_key_not_found", "API key not found", status=404)
    if is_caller(principal, key):
        raise Problem("cannot_delete_apikey", "API keys cannot delete themselves", status=401)
    refuse_unmanaged(session, principal, key, "cannot_delete_apikey")
    store.delete_key(session, key.row["id"], key.row["rbac_id"])


def shown_secret(
    session: ReadSession, box: SecretBox, principal: Principal, key: ApiKey, *, always_masked: bool
) -> str:
    """The secret of a key, masked where it is not for this caller: nobody may borrow a rank above the own.

    A key that is kept as a hash, or whose seal no known secret key opens, is masked throughout.
    """
    if key.is_hashed:
        return HASHED_KEY_MASK
    try:
        secret = box.open(key.row["key_sealed"], service.seal_place(key.row["rbac_id"]))
    except SealBroken:
        return HASHED_KEY_MASK
    return masked_key(secret) if always_masked or stands_above(session, key, principal) else secret


def stands_above(session: ReadSession, key: ApiKey, principal: Principal) -> bool:
    """Whether a key has a higher rank than the principal in any organization of the key."""
    return any(_rank(session, key, org_id) > top_rank(principal, org_id, session.now) for org_id in key.org_ids)


def identified(identifier: str) -> int | str:
    """The row id that a path names, or the secret. Raises Problem `invalid_id_format`."""
    if _DECIMAL.fullmatch(identifier):
        return int(identifier)
    if _SECRET.fullmatch(identifier):
        return identifier
    raise Problem("invalid_id_format", "The id of an API key is its number or its secret")


def find(session: ReadSession, principal: Principal, identifier: int | str) -> ApiKey | None:
    """A key of the principal's own person. A secret finds plain keys only."""
    if isinstance(identifier, int):
        row = store.by_id(session, identifier)
    else:
        row = service.row_of_secret(session, identifier)
        row = row if row is not None and row["key_sealed"] is not None else None
    if row is None or row["user_id"] != user_of(principal):
        return None
    return _with_power(session, row)


def load(session: ReadSession, key_id: int) -> ApiKey:
    """A key that is known to exist."""
    row = store.by_id(session, key_id)
    assert row is not None, "the key was made or locked in this transaction"
    return _with_power(session, row)


def refuse_non_manager(session: ReadSession, principal: Principal, code: str) -> None:
    """Raise Problem `code` for a key that may manage keys nowhere."""
    if isinstance(principal, KeyPrincipal) and not _managed_orgs(session, principal):
        raise Problem(code, _NO_MANAGER, status=401)


def refuse_unmanaged(session: ReadSession, principal: Principal, key: ApiKey, code: str) -> None:
    """Raise Problem `code` when the principal's right does not reach all organizations of a key."""
    if not may_manage(session, principal, key):
        raise Problem(code, "API key cannot manage this API key", status=401)


def may_manage(session: ReadSession, principal: Principal, key: ApiKey) -> bool:
    if key.row["user_id"] != user_of(principal):
        return False
    if isinstance(principal, UserPrincipal):
        return True
    return bool(key.org_ids) and key.org_ids <= _managed_orgs(session, principal)


def is_caller(principal: Principal, key: ApiKey) -> bool:
    return isinstance(principal, KeyPrincipal) and bool(principal.key_id == key.row["id"])


def _managed_orgs(session: ReadSession, principal: Principal) -> frozenset[str]:
    return visible(principal, Permission.ORG_MANAGE_APIKEYS, session.now).org_ids


def _rank(session: ReadSession, key: ApiKey, org_id: str) -> int:
    live = (b for b in key.bindings if b.org_id == org_id and b.is_live(session.now))
    return max((ROLES[binding.role].rank for binding in live), default=0)


def _with_power(session: ReadSession, row: RowMapping) -> ApiKey:
    permissions = store.global_permissions_of(session, row["rbac_id"])
    return ApiKey(row, service.bindings_of(session, row["rbac_id"]), tuple(permissions))


def _keys_of_user(session: ReadSession, user_id: str) -> Iterable[ApiKey]:
    bindings: dict[str, list[Binding]] = defaultdict(list)
    for row in store.bindings_of_keys(session, user_id):
        bindings[row["principal_id"]].append(service.binding_of(row))
    permissions: dict[str, list[str]] = defaultdict(list)
    for row in store.global_permissions_of_keys(session, user_id):
        permissions[row["apikey_rbac_id"]].append(row["permission_key"])
    for row in store.of_user(session, user_id):
        yield ApiKey(row, tuple(bindings[row["rbac_id"]]), tuple(permissions[row["rbac_id"]]))
