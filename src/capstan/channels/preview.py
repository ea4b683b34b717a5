"""Preview keys: who holds nothing better than `app_preview` may create channels, and rules only those (public 8.2).

On a channel of its own such a principal holds `channel_preview`, which the server grants at the creation, and it may
offer only bundles that it uploaded itself (contract: public 14.2).
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import RowMapping

from capstan.access.check import live_bindings
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, ChannelScope, KeyPrincipal, Principal, UserPrincipal
from capstan.access.roles import ROLES, RoleName
from capstan.apikeys.service import binding_row
from capstan.channels import store
from capstan.db.session import WriteSession
from capstan.errors import Problem

_PREVIEW_ROLES = frozenset({RoleName.APP_PREVIEW, RoleName.CHANNEL_PREVIEW})


def is_preview(principal: Principal, scope: ChannelScope, now: datetime) -> bool:
    """Whether it is only for previews that the principal may offer bundles on this channel."""
    roles = {binding.role for binding in live_bindings(principal, now) if binding.covers(scope)}
    promoting = {role for role in roles if Permission.CHANNEL_PROMOTE_BUNDLE in ROLES[role].grants}
    return not roles.isdisjoint(_PREVIEW_ROLES) and promoting <= {RoleName.CHANNEL_PREVIEW}


def check_bundle(principal: Principal, scope: ChannelScope, bundle: RowMapping, now: datetime) -> None:
    """Refuse a preview of what somebody else uploaded. Raises Problem `cannot_set_bundle_to_channel`."""
    if is_preview(principal, scope, now) and not _uploaded(principal, bundle):
        raise Problem(
            "cannot_set_bundle_to_channel",
            "A preview channel offers only bundles that were uploaded with the same key",
            more={"app_id": scope.app_id, "version": bundle["name"]},
        )


def grant(session: WriteSession, principal: Principal, scope: ChannelScope, app_uuid: str) -> None:
    """Give a preview principal the channel that it has just created."""
    if isinstance(principal, KeyPrincipal):
        holder = ("apikey", principal.rbac_id)
    elif isinstance(principal, UserPrincipal):
        holder = ("user", principal.user_id)
    else:
        return
    role = RoleName.CHANNEL_PREVIEW
    binding = Binding(role, "channel", scope.org_id, scope.app_id, app_uuid, scope.channel_id)
    store.insert_binding(session, binding_row(session, *holder, binding))


def _uploaded(principal: Principal, bundle: RowMapping) -> bool:
    if isinstance(principal, KeyPrincipal):
        return bool(bundle["created_by_apikey_rbac_id"] == principal.rbac_id)
    return isinstance(principal, UserPrincipal) and bool(bundle["user_id"] == principal.user_id)
