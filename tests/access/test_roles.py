"""Who may do what, spelled out from the contract (public 8.1 to 8.4) permission by permission."""

from __future__ import annotations

import pytest

from capstan.access.check import allowed, top_rank
from capstan.access.permissions import Permission
from capstan.access.principal import Installation, Scope
from capstan.access.roles import GUARDED_ROLES, ROLES, ScopeType
from tests.access.who import APP, CHANNEL, NOW, ORG, key, on_scope, user

# role: scope, rank, whether people may assign it
ROLE_TABLE: dict[str, tuple[ScopeType, int, bool]] = {
    "org_super_admin": ("org", 95, True),
    "org_admin": ("org", 90, True),
    "org_billing_admin": ("org", 80, True),
    "apikey_manager": ("org", 78, True),
    "org_member": ("org", 75, True),
    "apikey_org_reader": ("org", 10, False),
    "app_admin": ("app", 70, True),
    "app_preview": ("app", 69, True),
    "app_developer": ("app", 68, True),
    "app_uploader": ("app", 66, True),
    "app_reader": ("app", 65, True),
    "app_notifications": ("app", 64, True),
    "bundle_admin": ("bundle", 62, True),
    "bundle_reader": ("bundle", 61, True),
    "channel_preview": ("channel", 68, False),
    "channel_admin": ("channel", 60, True),
    "channel_developer": ("channel", 58, True),
    "channel_uploader": ("channel", 57, True),
    "channel_reader": ("channel", 55, True),
    "key_mode_read": ("org", 75, False),
    "key_mode_upload": ("org", 75, False),
    "key_mode_write": ("org", 75, False),
    "key_mode_app_write": ("app", 68, False),
}

ADMINS = "org_super_admin org_admin"
MODES = "key_mode_read key_mode_upload key_mode_write"
APP_READERS = f"{ADMINS} app_admin app_developer app_uploader app_reader {MODES} key_mode_app_write"
APP_WRITERS = f"{ADMINS} app_admin app_developer key_mode_write key_mode_app_write"
CHANNEL_READERS = f"{APP_READERS} channel_admin channel_developer channel_reader"

HOLDERS: dict[str, str] = {
    "org.read": f"{ADMINS} org_billing_admin apikey_manager org_member apikey_org_reader {MODES}",
    "org.create_app": f"{ADMINS} org_billing_admin org_member key_mode_write",
    "org.update_settings": ADMINS,
    "org.delete": "org_super_admin",
    "org.read_members": f"{ADMINS} org_member {MODES}",
    "org.invite_user": ADMINS,
    "org.update_user_roles": ADMINS,
    "org.manage_apikeys": f"{ADMINS} apikey_manager",
    "org.read_billing": f"{ADMINS} org_billing_admin",
    "org.update_billing": "org_super_admin org_billing_admin",
    "org.read_invoices": f"{ADMINS} org_billing_admin",
    "org.read_audit": ADMINS,
    "org.read_billing_audit": f"{ADMINS} org_billing_admin",
    "app.read": f"{APP_READERS} app_preview",
    "app.update_settings": f"{ADMINS} app_admin key_mode_write key_mode_app_write",
    "app.delete": "org_super_admin",
    "app.transfer": "org_super_admin",
    "app.read_bundles": f"{APP_READERS} app_preview",
    "app.upload_bundle": f"{APP_WRITERS} app_preview app_uploader key_mode_upload",
    "app.create_channel": f"{APP_WRITERS} app_preview",
    "app.read_channels": APP_READERS,
    "app.read_logs": APP_READERS,
    "app.manage_notifications": f"{APP_WRITERS} app_notifications",
    "app.manage_devices": APP_WRITERS,
    "app.read_devices": APP_READERS,
    "app.build_native": APP_WRITERS,
    "app.read_audit": f"{ADMINS} app_admin app_developer app_uploader app_reader key_mode_app_write",
    "app.update_user_roles": f"{ADMINS} app_admin",
    "bundle.delete": "org_super_admin app_admin key_mode_write key_mode_app_write",
    "channel.read": f"{CHANNEL_READERS} channel_preview channel_uploader",
    "channel.update_settings": f"{ADMINS} app_admin channel_admin key_mode_write key_mode_app_write",
    "channel.delete": "org_super_admin app_admin channel_admin channel_preview key_mode_write key_mode_app_write",
    "channel.read_history": CHANNEL_READERS,
    "channel.promote_bundle": f"{APP_WRITERS} app_uploader key_mode_upload "
    "channel_admin channel_developer channel_uploader channel_preview",
    "channel.rollback_bundle": f"{APP_WRITERS} channel_admin channel_developer",
    "channel.manage_forced_devices": f"{APP_WRITERS} channel_admin channel_developer",
    "channel.read_forced_devices": CHANNEL_READERS,
    "channel.read_audit": f"{ADMINS} app_admin app_developer app_uploader app_reader key_mode_app_write "
    "channel_admin channel_developer channel_reader",
    "org.create": "",
}

SCOPES: dict[ScopeType, Scope] = {"org": ORG, "app": APP, "channel": CHANNEL}
HOLDABLE = {role: scope for role, (scope, _, _) in ROLE_TABLE.items() if scope != "bundle"}


def test_every_permission_has_a_row_in_the_table() -> None:
    assert set(HOLDERS) == set(Permission)


def test_every_role_has_its_scope_rank_and_assignability() -> None:
    assert {name: (role.scope, role.rank, role.assignable) for name, role in ROLES.items()} == ROLE_TABLE


@pytest.mark.parametrize("permission", HOLDERS)
def test_a_permission_is_held_by_exactly_the_roles_of_the_contract(permission: str) -> None:
    holders = {
        role
        for role, scope in HOLDABLE.items()
        if allowed(user(on_scope(role, scope)), Permission(permission), SCOPES[scope], NOW)
    }
    assert holders == set(HOLDERS[permission].split())


@pytest.mark.parametrize("role", HOLDABLE)
def test_a_role_means_the_same_in_the_hands_of_a_key(role: str) -> None:
    scope = HOLDABLE[role]
    binding = on_scope(role, scope)
    for permission in Permission:
        of_user = allowed(user(binding), permission, SCOPES[scope], NOW)
        assert allowed(key(binding), permission, SCOPES[scope], NOW) == of_user


@pytest.mark.parametrize("role", HOLDABLE)
def test_a_roles_rank_is_its_holders_rank(role: str) -> None:
    assert top_rank(user(on_scope(role, HOLDABLE[role])), "org-a", NOW) == ROLE_TABLE[role][1]


def test_no_role_grants_creating_organizations() -> None:
    for role, scope in HOLDABLE.items():
        assert not allowed(key(on_scope(role, scope)), Permission.ORG_CREATE, Installation(), NOW)


def test_roles_that_only_role_managers_may_give() -> None:
    expected = {"org_super_admin", "org_admin", "app_admin", "app_preview", "channel_admin"}
    assert expected == GUARDED_ROLES


@pytest.mark.parametrize(
    ("wider", "narrower"),
    [
        ("org_super_admin", "org_admin"),
        ("app_admin", "app_developer"),
        ("app_developer", "app_uploader"),
        ("app_uploader", "app_reader"),
        ("channel_admin", "channel_reader"),
        ("key_mode_write", "key_mode_upload"),
        ("key_mode_upload", "key_mode_read"),
        ("key_mode_app_write", "app_developer"),
    ],
)
def test_a_higher_role_of_a_line_includes_the_lower(wider: str, narrower: str) -> None:
    assert ROLES[wider].grants > ROLES[narrower].grants
    assert ROLES[wider].rank >= ROLES[narrower].rank


def test_a_key_of_mode_write_may_do_what_its_reader_was_promised() -> None:
    writer = key(on_scope("key_mode_write", "org"))
    for permission in (
        "app.create_channel",
        "channel.update_settings",
        "channel.promote_bundle",
        "channel.delete",
        "channel.manage_forced_devices",
        "app.manage_devices",
        "bundle.delete",
    ):
        assert allowed(writer, Permission(permission), CHANNEL, NOW)
