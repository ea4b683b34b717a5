"""The one access check: what a binding reaches, what it does not, and lists that agree with it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.access.check import Visibility, allowed, below_organization, live_bindings, top_rank, visible
from capstan.access.permissions import Permission
from capstan.access.principal import (
    Anonymous,
    AppScope,
    Binding,
    ChannelScope,
    Installation,
    OrgScope,
    Principal,
    Scope,
    SystemPrincipal,
)
from capstan.access.roles import ROLES
from tests.access.who import (
    APP,
    CHANNEL,
    FOREIGN_APP,
    FOREIGN_CHANNEL,
    FUTURE,
    NOW,
    ORG,
    OTHER_APP,
    OTHER_CHANNEL,
    OTHER_ORG,
    PAST,
    key,
    on_app,
    on_channel,
    on_org,
    until,
    user,
)

ORG_ROLES = [name for name, role in ROLES.items() if role.scope == "org"]
APP_ROLES = [name for name, role in ROLES.items() if role.scope == "app"]
CHANNEL_ROLES = [name for name, role in ROLES.items() if role.scope == "channel"]
OBJECTS: list[Scope] = [
    ORG,
    OTHER_ORG,
    APP,
    OTHER_APP,
    FOREIGN_APP,
    CHANNEL,
    OTHER_CHANNEL,
    FOREIGN_CHANNEL,
]

moments = st.sampled_from([None, PAST, NOW, FUTURE])
well_formed = st.one_of(
    st.builds(on_org, st.sampled_from(ORG_ROLES), st.sampled_from(["org-a", "org-b"])),
    st.builds(on_app, st.sampled_from(APP_ROLES), st.sampled_from([APP, OTHER_APP, FOREIGN_APP])),
    st.builds(
        on_channel,
        st.sampled_from(CHANNEL_ROLES),
        st.sampled_from([CHANNEL, OTHER_CHANNEL, FOREIGN_CHANNEL]),
    ),
)
some_bindings = st.lists(
    st.builds(lambda binding, moment: replace(binding, expires_at=moment), well_formed, moments), max_size=4
)
permissions = st.sampled_from(Permission)


@given(st.sampled_from(ORG_ROLES), permissions)
@settings(max_examples=60, deadline=None)
def test_a_binding_on_an_organization_covers_its_apps_and_channels_and_no_others(
    role: str, permission: Permission
) -> None:
    holder = user(on_org(role))
    granted = allowed(holder, permission, ORG, NOW)
    assert [allowed(holder, permission, scope, NOW) for scope in (APP, OTHER_APP, CHANNEL)] == [granted] * 3
    assert not any(allowed(holder, permission, scope, NOW) for scope in (OTHER_ORG, FOREIGN_APP, FOREIGN_CHANNEL))


@given(st.sampled_from(APP_ROLES), permissions)
@settings(max_examples=60, deadline=None)
def test_a_binding_on_an_app_covers_its_channels_only(role: str, permission: Permission) -> None:
    holder = user(on_app(role))
    granted = allowed(holder, permission, APP, NOW)
    assert allowed(holder, permission, CHANNEL, NOW) == granted
    assert not any(allowed(holder, permission, scope, NOW) for scope in (ORG, OTHER_APP, FOREIGN_CHANNEL))


@given(st.sampled_from(CHANNEL_ROLES), permissions)
@settings(max_examples=60, deadline=None)
def test_a_binding_on_a_channel_covers_that_channel_only(role: str, permission: Permission) -> None:
    holder = user(on_channel(role))
    assert not any(allowed(holder, permission, scope, NOW) for scope in OBJECTS if scope != CHANNEL)


def test_an_expired_binding_is_ignored_from_the_moment_it_expires() -> None:
    for moment, granted in ((PAST, False), (NOW, False), (FUTURE, True)):
        holder = user(until(on_org("org_member"), moment))
        assert allowed(holder, Permission.ORG_READ, ORG, NOW) is granted
        assert (top_rank(holder, "org-a", NOW) > 0) is granted


def test_a_role_on_the_wrong_kind_of_scope_or_without_a_name_here_is_ignored() -> None:
    strays = (
        Binding("org_super_admin", "app", "org-a", "com.example.a", "uuid-a"),
        Binding("app_admin", "org", "org-a"),
        Binding("emperor", "org", "org-a"),
    )
    holder = user(*strays)
    assert not any(allowed(holder, permission, CHANNEL, NOW) for permission in Permission)
    assert top_rank(holder, "org-a", NOW) == 0
    assert list(live_bindings(holder, NOW)) == []


def test_a_binding_whose_ids_do_not_belong_together_reaches_nothing() -> None:
    app_of_another_org = Binding("app_admin", "app", "org-a", "com.example.c", "uuid-c")
    channel_of_another_app = Binding("channel_admin", "channel", "org-a", "com.example.b", "uuid-b", "channel-1")
    no_app_at_all = Binding("app_admin", "app", "org-a")
    for stray in (app_of_another_org, channel_of_another_app, no_app_at_all):
        assert not any(allowed(user(stray), Permission.CHANNEL_READ, scope, NOW) for scope in OBJECTS)


def test_a_key_uses_its_own_bindings_and_never_those_of_its_owner() -> None:
    owner, owned = user(on_org("org_super_admin")), key(on_app("app_reader"))
    assert owner.user_id == owned.user_id
    assert allowed(owned, Permission.APP_READ, APP, NOW)
    assert not allowed(owned, Permission.APP_READ, OTHER_APP, NOW)
    assert not allowed(owned, Permission.ORG_READ, ORG, NOW)


def test_a_blocked_user_may_do_nothing_in_that_organization_and_the_usual_elsewhere() -> None:
    holder = user(on_org("org_super_admin"), on_org("org_super_admin", "org-b"), blocked=frozenset({"org-a"}))
    for permission in Permission:
        assert not any(allowed(holder, permission, scope, NOW) for scope in (ORG, APP, CHANNEL))
    assert allowed(holder, Permission.ORG_DELETE, OTHER_ORG, NOW)
    assert (top_rank(holder, "org-a", NOW), top_rank(holder, "org-b", NOW)) == (0, 95)
    assert visible(holder, Permission.APP_READ, NOW).org_ids == {"org-b"}


def test_the_server_itself_may_do_everything_and_nobody_may_do_nothing() -> None:
    for scope in (*OBJECTS, Installation()):
        for permission in Permission:
            assert allowed(SystemPrincipal("import"), permission, scope, NOW)
            assert not allowed(Anonymous(), permission, scope, NOW)
    assert visible(SystemPrincipal("import"), Permission.APP_READ, NOW) == Visibility(everything=True)
    assert visible(Anonymous(), Permission.APP_READ, NOW) == Visibility()
    assert top_rank(SystemPrincipal("import"), "org-a", NOW) == 95
    assert top_rank(Anonymous(), "org-a", NOW) == 0


def capable(*bindings: Binding) -> Principal:
    return replace(key(*bindings), global_permissions=frozenset({Permission.ORG_CREATE}))


@pytest.mark.parametrize(
    ("principal", "may"),
    [
        (user(), True),
        (key(on_org("org_super_admin")), False),
        (capable(), False),
        (capable(on_org("org_member")), False),
        (capable(on_app("app_admin")), False),
        (capable(until(on_org("org_admin"), PAST)), False),
        (capable(on_org("org_admin")), True),
        (capable(on_org("org_super_admin", "org-b")), True),
    ],
)
def test_any_person_and_only_an_administrating_key_with_the_capability_may_create_organizations(
    principal: Principal, may: bool
) -> None:
    assert allowed(principal, Permission.ORG_CREATE, Installation(), NOW) is may
    assert not allowed(principal, Permission.ORG_CREATE, ORG, NOW)
    assert not allowed(principal, Permission.ORG_READ, Installation(), NOW)


def test_the_top_rank_is_the_highest_live_one_in_that_organization() -> None:
    holder = user(on_org("org_member"), on_app("app_admin"), until(on_org("org_super_admin"), PAST))
    assert top_rank(holder, "org-a", NOW) == 75
    assert top_rank(user(on_channel("channel_admin"), on_app("app_reader")), "org-a", NOW) == 65
    assert top_rank(holder, "org-b", NOW) == 0


def covered(visibility: Visibility, scope: Scope) -> bool:
    """What a store makes of a visibility in its query."""
    if isinstance(scope, Installation):
        return False
    in_org = visibility.everything or scope.org_id in visibility.org_ids
    in_app = in_org or (isinstance(scope, AppScope | ChannelScope) and scope.app_id in visibility.app_ids)
    return in_app or (isinstance(scope, ChannelScope) and scope.channel_id in visibility.channel_ids)


@given(some_bindings, permissions, st.sampled_from(OBJECTS), st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_list_shows_exactly_what_the_check_allows(
    bindings: list[Binding], permission: Permission, scope: Scope, blocked: bool
) -> None:
    holder = user(*bindings, blocked=frozenset({"org-a"} if blocked else ()))
    assert covered(visible(holder, permission, NOW), scope) == allowed(holder, permission, scope, NOW)


@given(some_bindings, some_bindings, permissions, st.sampled_from(OBJECTS))
@settings(max_examples=80, deadline=None)
def test_more_bindings_never_take_anything_away(
    bindings: list[Binding], more: list[Binding], permission: Permission, scope: Scope
) -> None:
    if allowed(key(*bindings), permission, scope, NOW):
        assert allowed(key(*bindings, *more), permission, scope, NOW)
    for org in ("org-a", "org-b"):
        assert top_rank(key(*bindings, *more), org, NOW) >= top_rank(key(*bindings), org, NOW)


def test_only_live_bindings_on_apps_or_channels_count_as_below_the_organization() -> None:
    assert below_organization([on_org("org_member"), on_app("app_reader")], NOW)
    assert below_organization([on_channel("channel_reader")], NOW)
    assert not below_organization([on_org("org_member"), until(on_app("app_reader"), PAST)], NOW)
    assert not below_organization([], NOW)


def test_scopes_of_one_organization_are_not_confused_with_equal_ids_of_another() -> None:
    holder = user(on_app("app_admin"))
    assert not allowed(holder, Permission.APP_READ, AppScope("org-b", "com.example.a"), NOW)
    assert not allowed(holder, Permission.ORG_READ, OrgScope("com.example.a"), NOW)
