"""The names of everything that can be allowed or refused (contract: public 8.1).

A permission is asked about a scope (an organization, an app, a channel, or the installation for `org.create`) in
`capstan.access.check`. The values are the names on the wire: the command line asks with them and keys carry them.
"""

from __future__ import annotations

from enum import StrEnum


class Permission(StrEnum):
    """One thing that somebody may do. `Permission(text)` raises ValueError for a name that does not exist."""

    ORG_READ = "org.read"
    ORG_CREATE_APP = "org.create_app"
    ORG_UPDATE_SETTINGS = "org.update_settings"
    ORG_DELETE = "org.delete"
    ORG_READ_MEMBERS = "org.read_members"
    ORG_INVITE_USER = "org.invite_user"
    ORG_UPDATE_USER_ROLES = "org.update_user_roles"
    ORG_MANAGE_APIKEYS = "org.manage_apikeys"
    ORG_READ_BILLING = "org.read_billing"
    ORG_UPDATE_BILLING = "org.update_billing"
    ORG_READ_INVOICES = "org.read_invoices"
    ORG_READ_AUDIT = "org.read_audit"
    ORG_READ_BILLING_AUDIT = "org.read_billing_audit"

    APP_READ = "app.read"
    APP_UPDATE_SETTINGS = "app.update_settings"
    APP_DELETE = "app.delete"
    APP_TRANSFER = "app.transfer"
    APP_READ_BUNDLES = "app.read_bundles"
    APP_UPLOAD_BUNDLE = "app.upload_bundle"
    APP_CREATE_CHANNEL = "app.create_channel"
    APP_READ_CHANNELS = "app.read_channels"
    APP_READ_LOGS = "app.read_logs"
    APP_MANAGE_NOTIFICATIONS = "app.manage_notifications"
    APP_MANAGE_DEVICES = "app.manage_devices"
    APP_READ_DEVICES = "app.read_devices"
    APP_BUILD_NATIVE = "app.build_native"
    APP_READ_AUDIT = "app.read_audit"
    APP_UPDATE_USER_ROLES = "app.update_user_roles"

    BUNDLE_DELETE = "bundle.delete"

    CHANNEL_READ = "channel.read"
    CHANNEL_UPDATE_SETTINGS = "channel.update_settings"
    CHANNEL_DELETE = "channel.delete"
    CHANNEL_READ_HISTORY = "channel.read_history"
    CHANNEL_PROMOTE_BUNDLE = "channel.promote_bundle"
    CHANNEL_ROLLBACK_BUNDLE = "channel.rollback_bundle"
    CHANNEL_MANAGE_FORCED_DEVICES = "channel.manage_forced_devices"
    CHANNEL_READ_FORCED_DEVICES = "channel.read_forced_devices"
    CHANNEL_READ_AUDIT = "channel.read_audit"

    # The only permission that no role grants: it belongs to users as such, and to keys that carry it.
    ORG_CREATE = "org.create"
