"""Principals, scopes and moments that the tests of this room share."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from capstan.access.principal import (
    AppScope,
    Binding,
    ChannelScope,
    KeyPrincipal,
    OrgScope,
    UserPrincipal,
)
from capstan.access.roles import ScopeType

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)

ORG, OTHER_ORG = OrgScope("org-a"), OrgScope("org-b")
APP, OTHER_APP = AppScope("org-a", "com.example.a"), AppScope("org-a", "com.example.b")
FOREIGN_APP = AppScope("org-b", "com.example.c")
CHANNEL = ChannelScope("org-a", "com.example.a", "channel-1")
OTHER_CHANNEL = ChannelScope("org-a", "com.example.a", "channel-2")
FOREIGN_CHANNEL = ChannelScope("org-b", "com.example.c", "channel-3")

APPS = {"com.example.a": "uuid-a", "com.example.b": "uuid-b"}


def on_org(role: str, org_id: str = "org-a") -> Binding:
    return Binding.on_org(role, org_id)


def on_app(role: str, app: AppScope = APP) -> Binding:
    return Binding(role, "app", app.org_id, app.app_id, f"uuid of {app.app_id}")


def on_channel(role: str, channel: ChannelScope = CHANNEL) -> Binding:
    return Binding(role, "channel", channel.org_id, channel.app_id, "uuid", channel.channel_id)


def on_scope(role: str, scope_type: ScopeType) -> Binding:
    if scope_type == "org":
        return on_org(role)
    return on_app(role) if scope_type == "app" else on_channel(role)


def user(*bindings: Binding, blocked: frozenset[str] = frozenset()) -> UserPrincipal:
    return UserPrincipal("user-1", "ann@example.com", bindings, blocked)


def key(*bindings: Binding) -> KeyPrincipal:
    return KeyPrincipal(7, "key-uuid", "user-1", "ann@example.com", "deploys", bindings)


def until(binding: Binding, moment: datetime) -> Binding:
    return replace(binding, expires_at=moment)
