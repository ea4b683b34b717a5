"""The one access check, and the same rule turned around for lists.

`allowed` answers for one object. `visible` answers the same question for all objects at once, as sets of ids that a
store puts into its query, so that a list can never show more than `allowed` would (contract: public part 8).
Every function takes `now`, an aware UTC datetime: bindings expire.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from capstan.access.permissions import Permission
from capstan.access.principal import (
    Anonymous,
    Binding,
    Installation,
    KeyPrincipal,
    Principal,
    Scope,
    SystemPrincipal,
    UserPrincipal,
)
from capstan.access.roles import ADMIN_ROLES, HIGHEST_RANK, ROLES


@dataclass(frozen=True, slots=True)
class Visibility:
    """Where a permission is held. With `everything` the sets are empty and nothing is to be restricted.

    An app is covered when its owner is in `org_ids` or its text id in `app_ids`; a channel when its app is covered or
    its `rbac_id` is in `channel_ids`.
    """

    org_ids: frozenset[str] = frozenset()
    app_ids: frozenset[str] = frozenset()
    channel_ids: frozenset[str] = frozenset()
    everything: bool = False


def allowed(principal: Principal, permission: Permission, scope: Scope, now: datetime) -> bool:
    """Whether `principal` may do `permission` on `scope`.

    The scope must be true: an app with the organization that owns it, a channel with its app. An object that does not
    exist has no scope; ask about the next wider one, or refuse.
    """
    if isinstance(principal, SystemPrincipal):
        return True
    if isinstance(scope, Installation):
        return permission == Permission.ORG_CREATE and _may_create_orgs(principal, now)
    return any(binding.covers(scope) for binding in _granting(principal, permission, now))


def visible(principal: Principal, permission: Permission, now: datetime) -> Visibility:
    """Where `principal` holds `permission`, for restricting a list."""
    if isinstance(principal, SystemPrincipal):
        return Visibility(everything=True)
    granting = tuple(_granting(principal, permission, now))
    return Visibility(
        org_ids=frozenset(binding.org_id for binding in granting if binding.scope_type == "org"),
        app_ids=frozenset(binding.app_id for binding in granting if binding.scope_type == "app" and binding.app_id),
        channel_ids=frozenset(
            binding.channel_id for binding in granting if binding.scope_type == "channel" and binding.channel_id
        ),
    )


def top_rank(principal: Principal, org_id: str, now: datetime) -> int:
    """The highest rank held in an organization, on whatever in it; 0 for none.

    Nobody grants a role above the own rank, or removes somebody who stands above (contract: public 8.6).
    """
    if isinstance(principal, SystemPrincipal):
        return HIGHEST_RANK
    return max((ROLES[b.role].rank for b in live_bindings(principal, now) if b.org_id == org_id), default=0)


def live_bindings(principal: Principal, now: datetime) -> Iterator[Binding]:
    """The bindings that count for `principal`: live ones, outside the organizations that block it."""
    if isinstance(principal, SystemPrincipal | Anonymous):
        return
    blocked = principal.blocked_orgs if isinstance(principal, UserPrincipal) else frozenset()
    for binding in principal.bindings:
        if binding.org_id not in blocked and binding.is_live(now):
            yield binding


def below_organization(bindings: Iterable[Binding], now: datetime) -> bool:
    """Whether any live binding is on an app or a channel only (contract: public 3.5, 18)."""
    return any(binding.scope_type != "org" for binding in bindings if binding.is_live(now))


def administered_orgs(bindings: Iterable[Binding], now: datetime) -> frozenset[str]:
    """The organizations of which live bindings make somebody an administrator (super or not)."""
    return frozenset(b.org_id for b in bindings if b.role in ADMIN_ROLES and b.is_live(now))


def _granting(principal: Principal, permission: Permission, now: datetime) -> Iterator[Binding]:
    return (b for b in live_bindings(principal, now) if permission in ROLES[b.role].grants)


def _may_create_orgs(principal: Principal, now: datetime) -> bool:
    # Any person may; a key needs the capability and to administer some organization (contract: public 9.3).
    if isinstance(principal, KeyPrincipal):
        return Permission.ORG_CREATE in principal.global_permissions and bool(
            administered_orgs(principal.bindings, now)
        )
    return isinstance(principal, UserPrincipal)
