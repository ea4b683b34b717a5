"""The roles: where each is given, what it grants and how high it stands (contract: public 8.2).

Two families. The contract's roles are what people assign. The `key_mode_*` roles are this server's own: an API key
created with a mode keeps that mode as one grant on the organization (or, when it is limited to apps, on each of them),
so that it also covers apps that are created later (contract: public 8.3, CD-11). There is none for mode `all`: such a
key is an administrator of its organization and holds that role itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal

from capstan.access.permissions import Permission

ScopeType = Literal["org", "app", "bundle", "channel"]


class RoleName(StrEnum):
    """The names as stored and as spoken on the wire."""

    ORG_SUPER_ADMIN = "org_super_admin"
    ORG_ADMIN = "org_admin"
    ORG_BILLING_ADMIN = "org_billing_admin"
    APIKEY_MANAGER = "apikey_manager"
    ORG_MEMBER = "org_member"
    APIKEY_ORG_READER = "apikey_org_reader"
    APP_ADMIN = "app_admin"
    APP_PREVIEW = "app_preview"
    APP_DEVELOPER = "app_developer"
    APP_UPLOADER = "app_uploader"
    APP_READER = "app_reader"
    APP_NOTIFICATIONS = "app_notifications"
    BUNDLE_ADMIN = "bundle_admin"
    BUNDLE_READER = "bundle_reader"
    CHANNEL_ADMIN = "channel_admin"
    CHANNEL_PREVIEW = "channel_preview"
    CHANNEL_DEVELOPER = "channel_developer"
    CHANNEL_UPLOADER = "channel_uploader"
    CHANNEL_READER = "channel_reader"
    KEY_MODE_READ = "key_mode_read"
    KEY_MODE_UPLOAD = "key_mode_upload"
    KEY_MODE_WRITE = "key_mode_write"
    KEY_MODE_APP_WRITE = "key_mode_app_write"


@dataclass(frozen=True, slots=True)
class Role:
    """`rank` is compared so that nobody grants or removes a role above the own (10 to 95, higher stands above).

    Roles that are not `assignable` are given by the server only.
    """

    name: RoleName
    scope: ScopeType
    rank: int
    grants: frozenset[Permission]
    assignable: bool = True


ADMIN_ROLES = frozenset({RoleName.ORG_SUPER_ADMIN, RoleName.ORG_ADMIN})
"""The administrators of an organization, wherever the contract speaks of `org_admin/org_super_admin`."""

GUARDED_ROLES = frozenset(
    {
        RoleName.ORG_SUPER_ADMIN,
        RoleName.ORG_ADMIN,
        RoleName.APP_ADMIN,
        RoleName.APP_PREVIEW,
        RoleName.CHANNEL_ADMIN,
    }
)
"""Roles that only a holder of `org.update_user_roles` may give to a key (contract: public 12.3)."""

# org.create is no role's to give (contract: public 8.1).
_EVERYTHING = frozenset(Permission) - {Permission.ORG_CREATE}
_EVERY_APP = frozenset(p for p in Permission if p.startswith("app."))
_EVERY_CHANNEL = frozenset(p for p in Permission if p.startswith("channel."))

_CHANNEL_READS = frozenset(
    {
        Permission.CHANNEL_READ,
        Permission.CHANNEL_READ_HISTORY,
        Permission.CHANNEL_READ_FORCED_DEVICES,
        Permission.CHANNEL_READ_AUDIT,
    }
)
_CHANNEL_DEVELOPER = _CHANNEL_READS | {
    Permission.CHANNEL_PROMOTE_BUNDLE,
    Permission.CHANNEL_ROLLBACK_BUNDLE,
    Permission.CHANNEL_MANAGE_FORCED_DEVICES,
}
_APP_READER = _CHANNEL_READS | {
    Permission.APP_READ,
    Permission.APP_READ_BUNDLES,
    Permission.APP_READ_CHANNELS,
    Permission.APP_READ_LOGS,
    Permission.APP_READ_DEVICES,
    Permission.APP_READ_AUDIT,
}
_APP_UPLOADER = _APP_READER | {Permission.APP_UPLOAD_BUNDLE, Permission.CHANNEL_PROMOTE_BUNDLE}
_APP_DEVELOPER = (
    _APP_UPLOADER
    | _CHANNEL_DEVELOPER
    | {
        Permission.APP_CREATE_CHANNEL,
        Permission.APP_MANAGE_NOTIFICATIONS,
        Permission.APP_MANAGE_DEVICES,
        Permission.APP_BUILD_NATIVE,
    }
)

# What the older tongue's rights need on an app, each with those below it (contract: public 8.3).
_READ_RIGHT = frozenset(
    {
        Permission.APP_READ,
        Permission.APP_READ_BUNDLES,
        Permission.APP_READ_CHANNELS,
        Permission.APP_READ_LOGS,
        Permission.APP_READ_DEVICES,
        Permission.CHANNEL_READ,
        Permission.CHANNEL_READ_HISTORY,
        Permission.CHANNEL_READ_FORCED_DEVICES,
    }
)
_UPLOAD_RIGHT = _READ_RIGHT | {Permission.APP_UPLOAD_BUNDLE}
_WRITE_RIGHT = _UPLOAD_RIGHT | {
    Permission.APP_UPDATE_SETTINGS,
    Permission.APP_CREATE_CHANNEL,
    Permission.APP_MANAGE_NOTIFICATIONS,
    Permission.APP_MANAGE_DEVICES,
    Permission.APP_BUILD_NATIVE,
    Permission.CHANNEL_UPDATE_SETTINGS,
    Permission.CHANNEL_PROMOTE_BUNDLE,
    Permission.CHANNEL_ROLLBACK_BUNDLE,
    Permission.CHANNEL_MANAGE_FORCED_DEVICES,
}
_ORG_READS = frozenset({Permission.ORG_READ, Permission.ORG_READ_MEMBERS})
# Setting a channel after the upload belongs to the upload path (contract: public 8.3).
_UPLOAD_MODE = _UPLOAD_RIGHT | {Permission.CHANNEL_PROMOTE_BUNDLE}
# Deletes were an administrator's by right, but keys of mode `write` are promised them (contract: public CD-11).
_WRITE_MODE = _WRITE_RIGHT | {Permission.BUNDLE_DELETE, Permission.CHANNEL_DELETE}


def _server_only(name: RoleName, scope: ScopeType, rank: int, grants: frozenset[Permission]) -> Role:
    return Role(name, scope, rank, grants, assignable=False)


_TABLE = (
    Role(RoleName.ORG_SUPER_ADMIN, "org", 95, _EVERYTHING),
    Role(
        RoleName.ORG_ADMIN,
        "org",
        90,
        _EVERYTHING
        - {
            Permission.ORG_DELETE,
            Permission.ORG_UPDATE_BILLING,
            Permission.APP_DELETE,
            Permission.APP_TRANSFER,
            Permission.BUNDLE_DELETE,
            Permission.CHANNEL_DELETE,
        },
    ),
    Role(
        RoleName.ORG_BILLING_ADMIN,
        "org",
        80,
        frozenset(
            {
                Permission.ORG_READ,
                Permission.ORG_CREATE_APP,
                Permission.ORG_READ_BILLING,
                Permission.ORG_UPDATE_BILLING,
                Permission.ORG_READ_INVOICES,
                Permission.ORG_READ_BILLING_AUDIT,
            }
        ),
    ),
    Role(RoleName.APIKEY_MANAGER, "org", 78, frozenset({Permission.ORG_READ, Permission.ORG_MANAGE_APIKEYS})),
    Role(
        RoleName.ORG_MEMBER,
        "org",
        75,
        frozenset({Permission.ORG_READ, Permission.ORG_CREATE_APP, Permission.ORG_READ_MEMBERS}),
    ),
    _server_only(RoleName.APIKEY_ORG_READER, "org", 10, frozenset({Permission.ORG_READ})),
    Role(
        RoleName.APP_ADMIN,
        "app",
        70,
        (_EVERY_APP - {Permission.APP_DELETE, Permission.APP_TRANSFER}) | _EVERY_CHANNEL | {Permission.BUNDLE_DELETE},
    ),
    Role(
        RoleName.APP_PREVIEW,
        "app",
        69,
        frozenset(
            {
                Permission.APP_READ,
                Permission.APP_READ_BUNDLES,
                Permission.APP_UPLOAD_BUNDLE,
                Permission.APP_CREATE_CHANNEL,
            }
        ),
    ),
    Role(RoleName.APP_DEVELOPER, "app", 68, _APP_DEVELOPER),
    Role(RoleName.APP_UPLOADER, "app", 66, _APP_UPLOADER),
    Role(RoleName.APP_READER, "app", 65, _APP_READER),
    Role(RoleName.APP_NOTIFICATIONS, "app", 64, frozenset({Permission.APP_MANAGE_NOTIFICATIONS})),
    Role(RoleName.BUNDLE_ADMIN, "bundle", 62, frozenset()),
    Role(RoleName.BUNDLE_READER, "bundle", 61, frozenset()),
    _server_only(
        RoleName.CHANNEL_PREVIEW,
        "channel",
        68,
        frozenset({Permission.CHANNEL_READ, Permission.CHANNEL_PROMOTE_BUNDLE, Permission.CHANNEL_DELETE}),
    ),
    Role(RoleName.CHANNEL_ADMIN, "channel", 60, _EVERY_CHANNEL),
    Role(RoleName.CHANNEL_DEVELOPER, "channel", 58, _CHANNEL_DEVELOPER),
    Role(
        RoleName.CHANNEL_UPLOADER,
        "channel",
        57,
        frozenset({Permission.CHANNEL_READ, Permission.CHANNEL_PROMOTE_BUNDLE}),
    ),
    Role(RoleName.CHANNEL_READER, "channel", 55, _CHANNEL_READS),
    # The modes stand as high as the member and the developer whom the contract maps them to (public 8.4).
    _server_only(RoleName.KEY_MODE_READ, "org", 75, _ORG_READS | _READ_RIGHT),
    _server_only(RoleName.KEY_MODE_UPLOAD, "org", 75, _ORG_READS | _UPLOAD_MODE),
    # Apps were the write keys' to create too: "other app write|all" (contract: public 8.3).
    _server_only(RoleName.KEY_MODE_WRITE, "org", 75, _ORG_READS | _WRITE_MODE | {Permission.ORG_CREATE_APP}),
    _server_only(RoleName.KEY_MODE_APP_WRITE, "app", 68, _APP_DEVELOPER | _WRITE_MODE),
)

ROLES: Mapping[str, Role] = MappingProxyType({role.name: role for role in _TABLE})
"""Every role by its name."""

HIGHEST_RANK = max(role.rank for role in _TABLE)
