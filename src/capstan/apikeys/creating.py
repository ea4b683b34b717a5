"""Making keys: from bindings, as people do today, or from a mode (contract: public 12.3).

All or nothing: whatever is refused is refused before anything is stored. The checks come in the contract's order, so
the members of a request arrive here as they were sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from sqlalchemy import RowMapping

from capstan.access.check import allowed, top_rank
from capstan.access.keys import SecretBox
from capstan.access.modes import KEY_MODES, app_mode_bindings, mode_global_permissions, org_mode_role
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, Installation, KeyMode, KeyPrincipal, OrgScope, Principal, UserPrincipal
from capstan.apikeys import granting, keyring, policies, store
from capstan.apikeys.service import Grant, MintedKey, NewKey, mint
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem

_CODE = "cannot_create_apikey"
_FOR_PEOPLE = "API keys cannot create other API keys"


class AskedKey(TypedDict, total=False):
    """The members of a request that were sent, unchecked."""

    name: object
    bindings: object
    expires_at: object
    hashed: object
    global_permissions: object
    org_id: object
    mode: object
    app_id: object
    limited_to_apps: object
    limited_to_orgs: object


def create_bound(session: WriteSession, box: SecretBox, principal: Principal, asked: AskedKey) -> MintedKey:
    """Make a key with exactly these bindings; only people may. Raises Problem as the contract lists."""
    if not isinstance(principal, UserPrincipal):
        raise Problem(_CODE, _FOR_PEOPLE)
    bindings = granting.asked_bindings(asked.get("bindings", []))
    name = asked.get("name")
    if not isinstance(name, str) or not name:
        raise Problem("name_is_required", "Name is required")
    if not bindings:
        raise Problem("bindings_required", "At least one binding is required")
    expires_at = policies.parsed_expiry(asked.get("expires_at"), session.now)
    permissions = granting.asked_global_permissions(asked.get("global_permissions", []))
    granting.refuse_global_permissions(permissions, (b.role_name for b in bindings if b.scope_type == "org"))
    org_ids = granting.organizations_of(bindings)
    policies.refuse_expiry(session, principal, org_ids, expires_at)
    granting.refuse_guarded(session, principal, bindings)
    granting.require(session, principal, Permission.ORG_MANAGE_APIKEYS, org_ids)
    grants = granting.resolved(session, principal, bindings)
    granting.refuse_two_roles(grants, "binding_creation_failed", 400)
    new = NewKey(
        user_id=principal.user_id,
        grants=grants,
        global_permissions=permissions,
        name=name,
        expires_at=expires_at,
        hashed=_hashed(session, asked, org_ids),
        granted_by=principal.user_id,
    )
    return mint(session, box, new)


def create_from_mode(
    session: WriteSession, box: SecretBox, principal: Principal, asked: AskedKey, *, keys_may: bool
) -> MintedKey:
    """Make a key of a mode (CD-23, CD-43); keys may too, if `keys_may`. Raises Problem as the contract lists."""
    if isinstance(principal, KeyPrincipal) and not keys_may:
        raise Problem(_CODE, _FOR_PEOPLE)
    keyring.refuse_non_manager(session, principal, _CODE)
    mode = _mode(asked.get("mode"))
    org_ids = _managed_organizations(session, principal, asked)
    apps = _apps(session, org_ids, asked)
    name = asked.get("name")
    if name is not None and not isinstance(name, str):
        raise _misfit("name", "a text")
    expires_at = policies.parsed_expiry(asked.get("expires_at"), session.now)
    policies.refuse_expiry(session, principal, org_ids, expires_at)
    if mode in ("write", "all"):
        # Their power includes deletes and administration (CD-43).
        granting.require(session, principal, Permission.ORG_UPDATE_USER_ROLES, org_ids)
    bindings = _app_bindings(mode, apps) if apps else _org_bindings(session, principal, mode, org_ids)
    user_id = keyring.user_of(principal)
    permissions = mode_global_permissions(
        mode,
        limited_to_apps=bool(apps),
        creator_may_create_orgs=allowed(principal, Permission.ORG_CREATE, Installation(), session.now),
    )
    new = NewKey(
        user_id=user_id,
        grants=[Grant(binding) for binding in bindings],
        global_permissions=permissions,
        name=name,
        mode=mode,
        expires_at=expires_at,
        hashed=_hashed(session, asked, org_ids),
        granted_by=user_id,
    )
    return mint(session, box, new)


def _hashed(session: ReadSession, asked: AskedKey, org_ids: Sequence[str]) -> bool:
    # A plain key would be refused at its first use where only hashed keys are accepted (contract: public 3.4).
    # A query has no booleans, only their names (CD-2).
    wished = asked.get("hashed")
    return wished is True or wished == "true" or store.has_org_that_refuses_plain_keys(session, org_ids)


def _mode(value: object) -> KeyMode:
    if value is None or value == "":
        raise Problem("mode_is_required", "Mode is required")
    if value not in KEY_MODES:
        raise Problem("invalid_mode", "Mode must be read, write, upload or all")
    return value


def _managed_organizations(session: ReadSession, principal: Principal, asked: AskedKey) -> tuple[str, ...]:
    org_id = asked.get("org_id")
    if org_id is None or org_id == "":
        raise Problem("org_id_is_required", "org_id is required")
    if not isinstance(org_id, str):
        raise _misfit("org_id", "a text")
    org_ids = tuple(dict.fromkeys([org_id, *_texts("limited_to_orgs", asked.get("limited_to_orgs"))]))
    for one in org_ids:
        if not allowed(principal, Permission.ORG_MANAGE_APIKEYS, OrgScope(one), session.now):
            raise Problem("org_not_found", "Organization not found", status=404, more={"org_id": one})
    return org_ids


def _apps(session: ReadSession, org_ids: Sequence[str], asked: AskedKey) -> Sequence[RowMapping]:
    """The apps that the key is limited to, none if it is not."""
    app_id = asked.get("app_id")
    if app_id is not None and not isinstance(app_id, str):
        raise _misfit("app_id", "a text")
    names = {*([app_id] if app_id else []), *_texts("limited_to_apps", asked.get("limited_to_apps"))}
    if not names:
        return ()
    apps = store.apps_called(session, org_ids, names)
    missing = names.difference(name for app in apps for name in (app["id"], app["app_id"]))
    if missing:
        raise Problem("app_not_found", "App not found", status=404, more={"app_id": min(missing)})
    return apps


def _app_bindings(mode: KeyMode, apps: Sequence[RowMapping]) -> list[Binding]:
    of_org: dict[str, dict[str, str]] = {}
    for app in apps:
        of_org.setdefault(app["owner_org"], {})[app["app_id"]] = app["id"]
    return [binding for org_id, some in of_org.items() for binding in app_mode_bindings(mode, org_id, some)]


def _org_bindings(session: ReadSession, principal: Principal, mode: KeyMode, org_ids: Sequence[str]) -> list[Binding]:
    bindings = []
    for org_id in org_ids:
        role = org_mode_role(mode, top_rank(principal, org_id, session.now))
        assert role is not None, "who may change roles is an administrator, which every mode can be given by"
        bindings.append(Binding.on_org(role, org_id))
    return bindings


def _texts(name: str, value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise _misfit(name, "an array of texts")
    return value


def _misfit(name: str, expected: str) -> Problem:
    issue = {"message": f"Expected {expected}", "path": [name]}
    return Problem("invalid_body", "Invalid body", more={"error": {"name": "SchemaError", "issues": [issue]}})
