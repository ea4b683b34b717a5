"""Who is asking, and about what: the values that every access check compares.

A principal is built once for each request from what the registry holds and never changes afterwards. An API key is a
principal of its own: it has its own bindings and none of its owner's (contract: public 8.2).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from capstan.access.permissions import Permission
from capstan.access.roles import ROLES, ScopeType

KeyMode = Literal["read", "upload", "write", "all"]
"""How much an API key may do, in the older tongue (contract: public 8.3)."""


@dataclass(frozen=True, slots=True)
class Installation:
    """The server as a whole; only `org.create` is ever asked here."""


@dataclass(frozen=True, slots=True)
class OrgScope:
    org_id: str


@dataclass(frozen=True, slots=True)
class AppScope:
    """An app by its text id (`com.example.app`). `org_id` must be the organization that owns it."""

    org_id: str
    app_id: str


@dataclass(frozen=True, slots=True)
class ChannelScope:
    """A channel by `channels.rbac_id`. It must belong to the app, and the app to the organization."""

    org_id: str
    app_id: str
    channel_id: str


Scope = Installation | OrgScope | AppScope | ChannelScope


@dataclass(frozen=True, slots=True)
class Binding:
    """A role given to a principal on one organization, app or channel (contract: public 7.8).

    `app_id` is the app's text id, `app_uuid` the `apps.id` by which the contract names it in a binding;
    `channel_id` is `channels.rbac_id`. Whoever loads bindings leaves out those whose organization, app and channel do
    not belong together (contract: public 8.2): that cannot be seen from the binding alone.
    """

    role: str
    scope_type: ScopeType
    org_id: str
    app_id: str | None = None
    app_uuid: str | None = None
    channel_id: str | None = None
    expires_at: datetime | None = None

    @classmethod
    def on_org(cls, role: str, org_id: str) -> Binding:
        return cls(role, "org", org_id)

    @classmethod
    def on_apps(cls, role: str, org_id: str, apps: Mapping[str, str]) -> tuple[Binding, ...]:
        """The role on each of `apps` (text id → `apps.id`) of one organization."""
        return tuple(cls(role, "app", org_id, app_id, app_uuid) for app_id, app_uuid in apps.items())

    def is_live(self, now: datetime) -> bool:
        """Whether the binding counts: not expired, and its role exists and fits the scope it is given on."""
        role = ROLES.get(self.role)
        if role is None or role.scope != self.scope_type:
            return False
        return self.expires_at is None or self.expires_at > now

    def covers(self, scope: Scope) -> bool:
        """Whether the role reaches `scope`: an organization covers its apps, an app its channels."""
        if isinstance(scope, Installation) or scope.org_id != self.org_id:
            return False
        if self.scope_type == "org":
            return True
        if isinstance(scope, OrgScope) or scope.app_id != self.app_id:
            return False
        if self.scope_type == "app":
            return True
        return isinstance(scope, ChannelScope) and scope.channel_id == self.channel_id


@dataclass(frozen=True, slots=True)
class UserPrincipal:
    """A signed-in person.

    Nothing is allowed in `blocked_orgs`, whose demand of a second factor or a password is not met (public 3.6).
    """

    user_id: str
    email: str
    bindings: tuple[Binding, ...] = ()
    blocked_orgs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class KeyPrincipal:
    """An API key. `user_id` and `user_email` name its owner, for the audit log only.

    `mode` is the mode it was created with, None for a key made of bindings. `expires_at` is kept because organizations
    may refuse keys that never expire (public 3.4). `parent` is the key that presented this one as a sub-key: webhooks
    check both (public 3.5).
    """

    key_id: int
    rbac_id: str
    user_id: str
    user_email: str
    name: str
    bindings: tuple[Binding, ...] = ()
    global_permissions: frozenset[Permission] = frozenset()
    mode: KeyMode | None = None
    expires_at: datetime | None = None
    parent: KeyPrincipal | None = None


@dataclass(frozen=True, slots=True)
class SystemPrincipal:
    """The server itself: background jobs, the server-side command line, a device's own choice. May do everything.

    `reason` says in a few words what for, and goes to the log.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Nobody: no credential was shown where none is demanded. May do nothing."""


Principal = UserPrincipal | KeyPrincipal | SystemPrincipal | Anonymous


@dataclass(frozen=True, slots=True)
class Actor:
    """Who the audit log names (contract: public 11)."""

    type: Literal["user", "apikey", "system", "unknown"]
    user_id: str | None = None
    user_email: str | None = None
    apikey_id: int | None = None
    apikey_name: str | None = None


def actor_of(principal: Principal) -> Actor:
    """Who to name for what `principal` did. A key is named together with its owner."""
    match principal:
        case UserPrincipal(user_id=user_id, email=email):
            return Actor("user", user_id, email)
        case KeyPrincipal():
            return Actor("apikey", principal.user_id, principal.user_email, principal.key_id, principal.name)
        case SystemPrincipal():
            return Actor("system")
        case Anonymous():
            return Actor("unknown")
