"""Key modes and member rights, to bindings and back (contract: public 8.3 to 8.5, CD-11, CD-14)."""

from __future__ import annotations

import pytest

from capstan.access.modes import (
    KEY_MODES,
    app_mode_bindings,
    key_mode,
    limited_to_apps,
    limited_to_orgs,
    member_right,
    membership,
    mode_global_permissions,
    org_mode_role,
)
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, KeyMode
from tests.access.who import APPS, NOW, PAST, on_app, on_channel, on_org, until


@pytest.mark.parametrize("mode", ["read", "upload", "write"])
def test_a_mode_is_kept_as_one_grant_on_the_organization(mode: KeyMode) -> None:
    assert org_mode_role(mode, creator_rank=78) == f"key_mode_{mode}"


@pytest.mark.parametrize(
    ("rank", "role"), [(95, "org_super_admin"), (94, "org_admin"), (90, "org_admin"), (89, None), (0, None)]
)
def test_mode_all_gives_what_its_creator_is_and_nothing_to_those_below_administrators(
    rank: int, role: str | None
) -> None:
    assert org_mode_role("all", rank) == role


@pytest.mark.parametrize(
    ("mode", "app_role"),
    [("read", "app_reader"), ("upload", "app_uploader"), ("write", "key_mode_app_write"), ("all", "app_admin")],
)
def test_a_key_limited_to_apps_reads_the_organization_and_has_its_role_on_each_app(
    mode: KeyMode, app_role: str
) -> None:
    assert app_mode_bindings(mode, "org-a", APPS) == (
        Binding("apikey_org_reader", "org", "org-a"),
        Binding(app_role, "app", "org-a", "com.example.a", "uuid-a"),
        Binding(app_role, "app", "org-a", "com.example.b", "uuid-b"),
    )


@pytest.mark.parametrize("mode", KEY_MODES)
def test_modes_survive_the_way_to_bindings_and_back(mode: KeyMode) -> None:
    for rank in (95, 90):
        role = org_mode_role(mode, rank)
        assert role is not None
        assert key_mode(None, [on_org(role)], NOW) == mode
    assert key_mode(None, app_mode_bindings(mode, "org-a", APPS), NOW) == mode


@pytest.mark.parametrize("mode", KEY_MODES)
def test_a_key_shows_the_mode_it_was_created_with(mode: KeyMode) -> None:
    assert key_mode(mode, [on_org("org_super_admin"), on_app("app_reader")], NOW) == mode


@pytest.mark.parametrize(
    ("bindings", "mode"),
    [
        ([on_app("app_reader"), on_app("app_admin")], "all"),
        ([on_org("org_admin")], "all"),
        ([on_org("org_member"), on_app("app_developer")], "write"),
        ([on_app("app_preview")], "upload"),
        ([on_app("app_uploader"), on_app("app_developer")], "write"),
        ([on_org("org_member")], "read"),
        ([on_channel("channel_admin")], "read"),
        ([until(on_org("org_super_admin"), PAST)], "read"),
        ([], "read"),
    ],
)
def test_a_key_made_of_bindings_shows_the_mode_they_come_nearest_to(bindings: list[Binding], mode: KeyMode) -> None:
    assert key_mode(None, bindings, NOW) == mode


def test_the_limits_of_a_key_are_the_organizations_and_apps_of_its_live_bindings() -> None:
    bindings = [
        on_org("apikey_org_reader"),
        on_app("app_reader"),
        on_channel("channel_reader"),
        on_org("org_member", "org-b"),
        until(on_org("org_member", "org-c"), PAST),
    ]
    assert limited_to_orgs(bindings, NOW) == ("org-a", "org-b")
    assert limited_to_apps(bindings, NOW) == ("com.example.a",)
    assert limited_to_apps([on_channel("channel_reader")], NOW) == ()


def test_only_an_unlimited_all_key_of_somebody_who_may_can_create_organizations() -> None:
    carrying = {
        (mode, limited, may)
        for mode in KEY_MODES
        for limited in (False, True)
        for may in (False, True)
        if mode_global_permissions(mode, limited_to_apps=limited, creator_may_create_orgs=may)
    }
    assert carrying == {("all", False, True)}
    created = mode_global_permissions("all", limited_to_apps=False, creator_may_create_orgs=True)
    assert created == {Permission.ORG_CREATE}


@pytest.mark.parametrize(
    ("name", "org_role", "app_role"),
    [
        ("read", "org_member", "app_reader"),
        ("upload", "org_member", "app_uploader"),
        ("write", "org_member", "app_developer"),
        ("admin", "org_admin", None),
        ("super_admin", "org_super_admin", None),
        ("invite_read", "org_member", "app_reader"),
        ("invite_super_admin", "org_super_admin", None),
        ("org_member", "org_member", None),
        ("org_billing_admin", "org_billing_admin", None),
        ("org_admin", "org_admin", None),
        ("org_super_admin", "org_super_admin", None),
    ],
)
def test_a_member_role_stands_for_roles_on_the_organization_and_its_apps(
    name: str, org_role: str, app_role: str | None
) -> None:
    member = membership(name)
    assert member is not None
    assert (member.org_role, member.app_role) == (org_role, app_role)


@pytest.mark.parametrize("name", ["", "invite_", "owner", "app_admin", "apikey_manager", "invite_org_admin", "READ"])
def test_other_names_cannot_be_given_to_a_person(name: str) -> None:
    assert membership(name) is None


def test_a_membership_becomes_bindings_on_the_organization_and_every_app() -> None:
    writer = membership("write")
    assert writer is not None
    assert writer.bindings("org-a", APPS) == (
        Binding("org_member", "org", "org-a"),
        Binding("app_developer", "app", "org-a", "com.example.a", "uuid-a"),
        Binding("app_developer", "app", "org-a", "com.example.b", "uuid-b"),
    )
    admin = membership("admin")
    assert admin is not None
    assert admin.bindings("org-a", APPS) == (Binding("org_admin", "org", "org-a"),)


@pytest.mark.parametrize("right", ["read", "upload", "write", "admin", "super_admin"])
def test_member_rights_survive_the_way_to_bindings_and_back(right: str) -> None:
    member = membership(right)
    assert member is not None
    roles = [binding.role for binding in member.bindings("org-a", APPS)]
    assert member_right(roles) == right
    assert member_right(roles, pending=True) == f"invite_{right}"


@pytest.mark.parametrize(
    ("roles", "right"),
    [
        ([], "read"),
        (["org_billing_admin"], "read"),
        (["org_member", "app_reader", "app_admin"], "write"),
        (["org_member", "app_preview"], "upload"),
        (["org_admin", "app_admin"], "admin"),
    ],
)
def test_a_member_shows_the_best_right_of_its_roles(roles: list[str], right: str) -> None:
    assert member_right(roles) == right
