"""The registry: what is released, to whom, and who may change it.

Columns carry the names of the contract's resource model (contract: public part 7, device 0.5). What the contract calls
unique or bounded is a constraint here, so that no code path can break it.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
    true,
)

from capstan.db.types import Document, Timestamp

registry = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite hands out row ids only for the exact type INTEGER.
RowId = BigInteger().with_variant(Integer(), "sqlite")
Uuid = String(36)


def _flag(name: str, default: bool) -> Column[bool]:
    return Column(name, Boolean, nullable=False, server_default=true() if default else false())


installation = Table(
    "installation",
    registry,
    Column("id", Integer, primary_key=True),
    Column("owner_user_id", Uuid, nullable=False),
    Column("org_id", Uuid, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    # Null until somebody used the first credentials on purpose; until then `capstan setup` may issue them anew.
    Column("claimed_at", Timestamp),
    CheckConstraint("id = 1", name="one_row"),
)

users = Table(
    "users",
    registry,
    Column("id", Uuid, primary_key=True),
    Column("email", Text, nullable=False, unique=True),
    Column("first_name", Text),
    Column("last_name", Text),
    Column("image_url", Text),
    Column("password_hash", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
)

orgs = Table(
    "orgs",
    registry,
    Column("id", Uuid, primary_key=True),
    Column("created_by", Uuid, ForeignKey("users.id"), nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    Column("logo", Text),
    Column("name", Text, nullable=False),
    Column("management_email", Text, nullable=False),
    Column("customer_id", Text),
    Column("website", Text),
    Column("stats_updated_at", Timestamp),
    Column("last_stats_updated_at", Timestamp),
    Column("stats_refresh_requested_at", Timestamp),
    _flag("enforcing_2fa", False),
    Column("email_preferences", Document, nullable=False),
    Column("password_policy_config", Document),
    _flag("enforce_hashed_api_keys", False),
    _flag("require_apikey_expiration", False),
    Column("max_apikey_expiration_days", Integer),
    _flag("enforce_encrypted_bundles", False),
    Column("required_encryption_key", Text),
    _flag("has_usage_credits", False),
    Column("onboarding", Document, nullable=False),
    # Billing facts that decide whether devices are served (contract: device 1.5). A self-hosted organization has
    # customer_id null and is always valid; they are kept so that an imported one behaves as it did.
    Column("plan_status", Text),
    Column("trial_at", Timestamp),
    _flag("mau_exceeded", False),
    _flag("bandwidth_exceeded", False),
    _flag("storage_exceeded", False),
    UniqueConstraint("name", "created_by"),
    CheckConstraint("length(name) > 0", name="name_not_empty"),
    CheckConstraint(
        "max_apikey_expiration_days is null or max_apikey_expiration_days between 1 and 365", name="max_days"
    ),
)

deleted_orgs = Table(
    "deleted_orgs",
    registry,
    Column("id", Uuid, primary_key=True),
    Column("deleted_at", Timestamp, nullable=False),
)

org_users = Table(
    "org_users",
    registry,
    Column("id", RowId, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("org_id", Uuid, ForeignKey("orgs.id", ondelete="CASCADE"), nullable=False),
    Column("rbac_role_name", Text, nullable=False),
    _flag("is_invite", False),
    # The role on every app that comes with the acceptance of an invitation (contract: public CD-17).
    Column("invited_app_role", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    UniqueConstraint("org_id", "user_id"),
)

apikeys = Table(
    "apikeys",
    registry,
    Column("id", RowId, primary_key=True),
    Column("rbac_id", Uuid, nullable=False, unique=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", Text, nullable=False),
    # The secret itself is never stored plain: found by its hash, shown again by decrypting (null = hashed key).
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("key_sealed", Text),
    Column("mode", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp),
    CheckConstraint("mode is null or mode in ('read', 'write', 'upload', 'all')", name="mode"),
)

apikey_global_permissions = Table(
    "apikey_global_permissions",
    registry,
    Column("apikey_rbac_id", Uuid, ForeignKey("apikeys.rbac_id", ondelete="CASCADE"), primary_key=True),
    Column("permission_key", Text, primary_key=True),
    Column("granted_by", Uuid),
    Column("reason", Text),
)

apps = Table(
    "apps",
    registry,
    Column("id", Uuid, nullable=False, unique=True),
    Column("app_id", Text, primary_key=True),
    Column("name", Text),
    Column("icon_url", Text, nullable=False, server_default=""),
    Column("user_id", Uuid),
    Column("owner_org", Uuid, ForeignKey("orgs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("last_version", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    Column("retention", BigInteger, nullable=False, server_default=text("2592000")),
    Column("default_upload_channel", Text, nullable=False, server_default="production"),
    Column("transfer_history", Document),
    Column("channel_device_count", BigInteger, nullable=False, server_default=text("0")),
    Column("manifest_bundle_count", BigInteger, nullable=False, server_default=text("0")),
    Column("rollout_channel_count", BigInteger, nullable=False, server_default=text("0")),
    Column("rollout_paused_version_names", Document),
    _flag("expose_metadata", False),
    _flag("allow_preview", False),
    _flag("allow_device_custom_id", True),
    _flag("block_provider_infra_requests", True),
    _flag("need_onboarding", False),
    _flag("existing_app", False),
    _flag("created_from_onboarding", False),
    Column("onboarding_completed_at", Timestamp),
    Column("ios_store_url", Text),
    Column("android_store_url", Text),
    Column("stats_updated_at", Timestamp),
    Column("stats_refresh_requested_at", Timestamp),
    Column("build_timeout_seconds", BigInteger, nullable=False, server_default=text("900")),
    Column("build_timeout_updated_at", Timestamp),
    # Rows of device_pins and channel_self_choices, kept beside channel_device_count: devices of an app without any of
    # the three need no look-up.
    Column("device_pin_count", BigInteger, nullable=False, server_default=text("0")),
    Column("channel_self_count", BigInteger, nullable=False, server_default=text("0")),
    # Moves with every change that can alter a device's answer (house rule: snapshots compare it).
    Column("revision", BigInteger, nullable=False),
    CheckConstraint("retention >= 0 and retention < 63113904", name="retention"),
    CheckConstraint("build_timeout_seconds between 300 and 21600", name="build_timeout"),
)

app_versions = Table(
    "app_versions",
    registry,
    Column("id", RowId, primary_key=True),
    Column("app_id", Text, ForeignKey("apps.app_id", ondelete="CASCADE"), nullable=False),
    Column("name", Text, nullable=False),
    Column("owner_org", Uuid, nullable=False),
    Column("user_id", Uuid),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    _flag("deleted", False),
    Column("deleted_at", Timestamp),
    Column("external_url", Text),
    Column("checksum", Text),
    Column("session_key", Text),
    Column("key_id", String(20)),
    Column("storage_provider", Text, nullable=False, server_default="r2"),
    Column("r2_path", Text),
    Column("min_update_version", Text),
    Column("native_packages", Document),
    Column("manifest_count", Integer, nullable=False, server_default=text("0")),
    Column("link", Text),
    Column("comment", Text),
    Column("cli_version", Text),
    Column("created_by_apikey_rbac_id", Uuid),
    # Bytes of the zip, or of all files of a bundle without one (contract: device 5.4).
    Column("size", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("app_id", "name"),
    CheckConstraint("storage_provider in ('r2', 'r2-direct', 'external')", name="storage_provider"),
    CheckConstraint("length(name) > 0", name="name_not_empty"),
    # Telemetry remembers ids of rows that are gone; no other row may ever have them.
    sqlite_autoincrement=True,
)

manifest = Table(
    "manifest",
    registry,
    Column("id", RowId, primary_key=True),
    Column(
        "app_version_id",
        RowId,
        ForeignKey("app_versions.id", ondelete="CASCADE"),
        nullable=False,
    ),
    Column("file_name", Text, nullable=False),
    Column("file_hash", Text, nullable=False),
    Column("s3_path", Text, nullable=False),
    Column("file_size", BigInteger, nullable=False, server_default=text("0")),
    UniqueConstraint("app_version_id", "file_name"),
    Index("ix_manifest_s3_path", "s3_path"),
    Index("ix_manifest_file_hash", "file_hash"),
)

channels = Table(
    "channels",
    registry,
    Column("id", RowId, primary_key=True),
    Column("rbac_id", Uuid, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("app_id", Text, ForeignKey("apps.app_id", ondelete="CASCADE"), nullable=False),
    Column("owner_org", Uuid, nullable=False),
    Column("created_by", Uuid, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    # Null means the native bundle.
    Column("version", RowId, ForeignKey("app_versions.id", ondelete="SET NULL"), index=True),
    _flag("public", False),
    _flag("disable_auto_update_under_native", True),
    Column("disable_auto_update", Text, nullable=False, server_default="major"),
    _flag("ios", True),
    _flag("android", True),
    _flag("electron", True),
    _flag("allow_device_self_set", False),
    _flag("allow_emulator", True),
    _flag("allow_device", True),
    _flag("allow_dev", True),
    _flag("allow_prod", True),
    Column("rollout_version", RowId, ForeignKey("app_versions.id", ondelete="SET NULL"), index=True),
    Column("rollout_id", Uuid, nullable=False),
    Column("rollout_percentage_bps", Integer, nullable=False, server_default=text("0")),
    _flag("rollout_enabled", False),
    Column("rollout_paused_at", Timestamp),
    Column("rollout_pause_reason", Text),
    Column("rollout_cache_ttl_seconds", Integer, nullable=False, server_default=text("2592000")),
    _flag("auto_pause_enabled", False),
    Column("auto_pause_window_minutes", Integer, nullable=False, server_default=text("60")),
    Column("auto_pause_failure_rate_bps", Integer),
    Column("auto_pause_confidence", Numeric(6, 5, asdecimal=False), nullable=False, server_default=text("0.95")),
    Column("auto_pause_min_attempts", Integer),
    Column("auto_pause_min_failures", Integer),
    Column("auto_pause_action", Text, nullable=False, server_default="pause"),
    Column("auto_pause_cooldown_minutes", Integer, nullable=False, server_default=text("60")),
    Column("auto_pause_last_triggered_at", Timestamp),
    Column("auto_pause_last_checked_at", Timestamp),
    UniqueConstraint("app_id", "name"),
    CheckConstraint("disable_auto_update in ('major', 'minor', 'patch', 'version_number', 'none')", name="policy"),
    CheckConstraint("rollout_percentage_bps between 0 and 10000", name="rollout_bps"),
    CheckConstraint("rollout_cache_ttl_seconds between 60 and 31536000", name="rollout_ttl"),
    CheckConstraint("auto_pause_window_minutes between 1 and 10080", name="window"),
    CheckConstraint(
        "auto_pause_failure_rate_bps is null or auto_pause_failure_rate_bps between 0 and 10000",
        name="failure_rate",
    ),
    CheckConstraint("auto_pause_confidence > 0 and auto_pause_confidence < 1", name="confidence"),
    CheckConstraint("auto_pause_action in ('pause', 'rollback', 'notify')", name="auto_pause_action"),
    CheckConstraint("auto_pause_cooldown_minutes between 0 and 10080", name="cooldown"),
    CheckConstraint("length(name) > 0", name="name_not_empty"),
    # Telemetry remembers ids of rows that are gone; no other row may ever have them.
    sqlite_autoincrement=True,
)

# At most one public channel for each app and platform (contract: device 0.5, public 7.5).
for _platform in ("ios", "android", "electron"):
    Index(
        f"uq_channels_public_{_platform}",
        channels.c.app_id,
        unique=True,
        sqlite_where=text(f"public and {_platform}"),
        postgresql_where=text(f"public and {_platform}"),
    )

channel_devices = Table(
    "channel_devices",
    registry,
    Column("id", RowId, primary_key=True),
    Column("app_id", Text, ForeignKey("apps.app_id", ondelete="CASCADE"), nullable=False),
    Column("device_id", String(36), nullable=False),
    Column("channel_id", RowId, ForeignKey("channels.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("owner_org", Uuid, nullable=False),
    Column("created_at", Timestamp, nullable=False),
    Column("updated_at", Timestamp, nullable=False),
    UniqueConstraint("app_id", "device_id"),
    CheckConstraint("device_id = lower(device_id)", name="device_id_lower"),
)

device_pins = Table(
    "device_pins",
    registry,
    Column("app_id", Text, ForeignKey("apps.app_id", ondelete="CASCADE"), primary_key=True),
    Column("device_id", String(36), primary_key=True),
    Column(
        "app_version_id",
        RowId,
        ForeignKey("app_versions.id", ondelete="CASCADE"),
        nullable=False,
        index=True,
    ),
    Column("updated_at", Timestamp, nullable=False),
    CheckConstraint("device_id = lower(device_id)", name="device_id_lower"),
)

role_bindings = Table(
    "role_bindings",
    registry,
    Column("id", Uuid, primary_key=True),
    Column("principal_type", Text, nullable=False),
    Column("principal_id", Uuid, nullable=False),
    Column("role_name", Text, nullable=False),
    Column("scope_type", Text, nullable=False),
    Column("org_id", Uuid, ForeignKey("orgs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("app_id", Uuid, ForeignKey("apps.id", ondelete="CASCADE"), index=True),
    Column("channel_id", Uuid, ForeignKey("channels.rbac_id", ondelete="CASCADE"), index=True),
    Column("granted_by", Uuid),
    Column("granted_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp),
    Column("reason", Text),
    _flag("is_direct", True),
    CheckConstraint("principal_type in ('user', 'apikey')", name="principal_type"),
    CheckConstraint("scope_type in ('org', 'app', 'channel')", name="scope_type"),
    # One role for each principal and scope object (contract: public 8.2); it serves the look-up by principal too.
    Index(
        "uq_role_bindings_scope",
        "principal_id",
        "org_id",
        text("coalesce(app_id, '')"),
        text("coalesce(channel_id, '')"),
        unique=True,
    ),
)

deploy_history = Table(
    "deploy_history",
    registry,
    Column("id", RowId, primary_key=True),
    Column("channel_id", RowId, ForeignKey("channels.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("version_id", RowId, ForeignKey("app_versions.id", ondelete="CASCADE"), nullable=False),
    Column("app_id", Text, nullable=False, index=True),
    Column("owner_org", Uuid, nullable=False),
    Column("deployed_at", Timestamp, nullable=False),
    Column("created_by", Uuid),
)

audit_logs = Table(
    "audit_logs",
    registry,
    Column("id", RowId, primary_key=True),
    Column("created_at", Timestamp, nullable=False),
    Column("table_name", Text, nullable=False),
    Column("record_id", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("user_id", Uuid),
    # No reference: the last entries of an organization are written while it goes.
    Column("org_id", Uuid, nullable=False),
    Column("old_record", Document),
    Column("new_record", Document),
    Column("changed_fields", Document),
    Column("actor_type", Text, nullable=False),
    Column("actor_user_id", Uuid),
    Column("actor_user_email", Text),
    Column("actor_apikey_id", BigInteger),
    Column("actor_apikey_name", Text),
    CheckConstraint("operation in ('INSERT', 'UPDATE', 'DELETE')", name="operation"),
    Index("ix_audit_logs_org_id_created_at", "org_id", "created_at"),
)

stored_objects = Table(
    "stored_objects",
    registry,
    Column("key", Text, primary_key=True),
    Column("app_id", Text, nullable=False, index=True),
    Column("size", BigInteger, nullable=False),
    # Last written, or found by an existence check: nothing younger than seven days is ever swept.
    Column("touched_at", Timestamp, nullable=False),
)

# The channels that devices chose themselves whose plugin does not keep the choice on the device (contract: device 3.2).
channel_self_choices = Table(
    "channel_self_choices",
    registry,
    Column("app_id", Text, ForeignKey("apps.app_id", ondelete="CASCADE"), primary_key=True),
    Column("device_id", String(36), primary_key=True),
    Column("channel_id", RowId, ForeignKey("channels.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("updated_at", Timestamp, nullable=False),
    CheckConstraint("device_id = lower(device_id)", name="device_id_lower"),
)

# Resumable uploads that are not complete yet (contract: device 4.3).
uploads = Table(
    "uploads",
    registry,
    Column("id", String(32), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("app_id", Text, ForeignKey("apps.app_id", ondelete="CASCADE"), nullable=False, index=True),
    Column("org_id", Uuid, nullable=False),
    # Null while the client has not said how long it will be.
    Column("length", BigInteger),
    Column("received", BigInteger, nullable=False),
    # The header that came with the creation, as it came.
    Column("metadata", Text, nullable=False),
    Column("checksum", Text),
    Column("created_at", Timestamp, nullable=False),
    Column("expires_at", Timestamp, nullable=False, index=True),
    # The request that works on it, and the moment from which it may be taken for dead.
    Column("lock_owner", String(32)),
    Column("lock_until", Timestamp),
    CheckConstraint("received >= 0", name="received"),
)

# What has arrived of each, in pieces; an object of the store holds one piece.
upload_parts = Table(
    "upload_parts",
    registry,
    Column("upload_id", String(32), ForeignKey("uploads.id", ondelete="CASCADE"), primary_key=True),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("size", BigInteger, nullable=False),
    # The request that wrote it. Two that both believe to hold the upload never write the same object.
    Column("owner", String(32), nullable=False),
)

# Upload links are signed, not stored; these were used and are not good for a second time (contract: device 4.5).
used_upload_links = Table(
    "used_upload_links",
    registry,
    Column("id", String(32), primary_key=True),
    Column("expires_at", Timestamp, nullable=False, index=True),
)

# Periodic work: when each job is due, who has it in hand, how its last run ended. One row for each job that ever was.
jobs = Table(
    "jobs",
    registry,
    Column("name", Text, primary_key=True),
    Column("due_at", Timestamp, nullable=False),
    # The process that runs it, and the moment from which that process may be taken for dead.
    Column("lease_owner", String(32)),
    Column("lease_until", Timestamp),
    Column("started_at", Timestamp),
    Column("ended_at", Timestamp),
    Column("outcome", Text),
    Column("detail", Document),
    # Failed runs since the last one that did not fail.
    Column("failures", Integer, nullable=False, server_default=text("0")),
    CheckConstraint("outcome is null or outcome in ('done', 'stopped', 'failed')", name="outcome"),
)

# The last runs of each job that are worth telling.
job_runs = Table(
    "job_runs",
    registry,
    Column("id", RowId, primary_key=True),
    Column("name", Text, nullable=False),
    Column("started_at", Timestamp, nullable=False),
    Column("ended_at", Timestamp, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("detail", Document, nullable=False),
    Index("ix_job_runs_name_id", "name", "id"),
    CheckConstraint("outcome in ('done', 'stopped', 'failed')", name="outcome"),
)

# Objects that nothing refers to any more and that are about to be removed. Nothing accounts for them from here on.
doomed_objects = Table(
    "doomed_objects",
    registry,
    Column("key", Text, primary_key=True),
    Column("app_id", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("doomed_at", Timestamp, nullable=False),
)

Index("ix_app_versions_r2_path", app_versions.c.r2_path)

# What was stored and deleted on a day, in bytes: negative where more went than came (contract: public 22). An app that
# is gone keeps its rows for the statistics of its organization.
daily_storage = Table(
    "daily_storage",
    registry,
    Column("owner_org", Uuid, ForeignKey("orgs.id", ondelete="CASCADE"), primary_key=True),
    Column("app_id", Text, primary_key=True),
    Column("date", Date, primary_key=True),
    Column("storage", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
