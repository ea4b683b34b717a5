"""What power a key may be given, and by whom (contract: public 12.3, 12.4).

What was asked for becomes `Grant`s only here, so that nobody gives what is not there, what only the server gives, or
what stands above the own rank.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Struct
from sqlalchemy import RowMapping

from capstan.access.check import allowed, top_rank
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, OrgScope, Principal
from capstan.access.roles import ADMIN_ROLES, GUARDED_ROLES, ROLES
from capstan.apikeys import store
from capstan.apikeys.service import Grant
from capstan.db.session import ReadSession
from capstan.errors import Problem


class AskedBinding(Struct, frozen=True):
    """A binding as it is asked for. `app_id` is `apps.id`, `channel_id` is `channels.rbac_id`."""

    role_name: str
    scope_type: Literal["org", "app", "channel"]
    org_id: str
    app_id: str | None = None
    channel_id: str | None = None
    reason: str | None = None


def asked_bindings(value: object) -> tuple[AskedBinding, ...]:
    """The bindings of a request. Raises Problem `invalid_bindings`."""
    if not isinstance(value, list):
        raise Problem("invalid_bindings", "bindings must be an array")
    try:
        return msgspec.convert(value, tuple[AskedBinding, ...])
    except msgspec.ValidationError as error:
        raise Problem("invalid_bindings", "Invalid binding", more={"reason": str(error)}) from None


def asked_global_permissions(value: object) -> frozenset[Permission]:
    """What a key is to do beyond any organization. Raises Problem `invalid_global_permissions`."""
    if not isinstance(value, list) or any(name != Permission.ORG_CREATE for name in value):
        raise Problem("invalid_global_permissions", "global_permissions may hold org.create only")
    return frozenset({Permission.ORG_CREATE}) if value else frozenset()


def refuse_global_permissions(permissions: Collection[Permission], roles: Iterable[str]) -> None:
    """Raise Problem `invalid_global_permissions` for a key that is to create organizations but administers none."""
    if permissions and ADMIN_ROLES.isdisjoint(roles):
        raise Problem("invalid_global_permissions", "org.create needs an organization administrator's binding")


def organizations_of(asked: Iterable[AskedBinding]) -> tuple[str, ...]:
    """The organizations that are named, each once, in their order."""
    return tuple(dict.fromkeys(binding.org_id for binding in asked))


def refuse_guarded(session: ReadSession, principal: Principal, asked: Iterable[AskedBinding]) -> None:
    """Raise Problem `forbidden_binding` for roles that only who changes roles may give."""
    for binding in asked:
        if binding.role_name in GUARDED_ROLES:
            require(session, principal, Permission.ORG_UPDATE_USER_ROLES, (binding.org_id,))


def require(session: ReadSession, principal: Principal, permission: Permission, org_ids: Iterable[str]) -> None:
    """Raise Problem `forbidden_binding` unless the principal holds a permission in all these organizations."""
    rights = "API key management" if permission is Permission.ORG_MANAGE_APIKEYS else "Role management"
    for org_id in org_ids:
        if not allowed(principal, permission, OrgScope(org_id), session.now):
            message = f"Forbidden - {rights} rights required for org {org_id}"
            raise Problem("forbidden_binding", message, status=403, more={"org_id": org_id})


def resolved(session: ReadSession, principal: Principal, asked: Sequence[AskedBinding]) -> tuple[Grant, ...]:
    """What to store for what was asked. Raises Problem `binding_failed` for the first that cannot be given."""
    apps = store.apps_by_id(session, {binding.app_id for binding in asked if binding.app_id})
    channels = store.channels_by_rbac_id(session, {binding.channel_id for binding in asked if binding.channel_id})
    ranks = {org_id: top_rank(principal, org_id, session.now) for org_id in organizations_of(asked)}
    grants = []
    for binding in asked:
        _refuse_role(binding, ranks[binding.org_id])
        grants.append(Grant(_bound(binding, apps, channels), binding.reason))
    return tuple(grants)


def refuse_two_roles(grants: Iterable[Grant], code: str, status: int) -> None:
    """Raise Problem `code` when one object is given two roles on (contract: public 8.2)."""
    seen = set()
    for binding in (grant.binding for grant in grants):
        place = (binding.org_id, binding.app_uuid, binding.channel_id)
        if place in seen:
            message = f"More than one role on one {binding.scope_type}"
            raise Problem(code, message, status=status, more={"org_id": binding.org_id})
        seen.add(place)


def _refuse_role(asked: AskedBinding, rank: int) -> None:
    role = ROLES.get(asked.role_name)
    if role is None:
        raise _failed(404, "Role not found", asked)
    if not role.assignable:
        raise _failed(403, "Role is not assignable", asked)
    if role.scope != asked.scope_type:
        raise _failed(400, "Role scope_type does not match binding scope", asked)
    if role.rank > rank:
        raise _failed(403, "Cannot assign a role with higher privileges than your own", asked)


def _bound(asked: AskedBinding, apps: Mapping[str, RowMapping], channels: Mapping[str, RowMapping]) -> Binding:
    if asked.scope_type == "org":
        return Binding.on_org(asked.role_name, asked.org_id)
    on_channel = asked.scope_type == "channel"
    if not asked.app_id or (on_channel and not asked.channel_id):
        needed = "app_id and channel_id required for channel scope" if on_channel else "app_id required for app scope"
        raise _failed(400, needed, asked)
    app = apps.get(asked.app_id)
    if app is None or app["owner_org"] != asked.org_id:
        raise _failed(404, "App not found in this org", asked)
    channel = channels.get(asked.channel_id or "") if on_channel else None
    if on_channel and (channel is None or channel["app_id"] != app["app_id"]):
        raise _failed(404, "Channel not found in this app/org", asked)
    channel_id = asked.channel_id if on_channel else None
    return Binding(asked.role_name, asked.scope_type, asked.org_id, app["app_id"], app["id"], channel_id)


def _failed(status: int, message: str, asked: AskedBinding) -> Problem:
    return Problem("binding_failed", message, status=status, more={"role_name": asked.role_name})
