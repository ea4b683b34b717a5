"""The first registry: organizations, access, apps, bundles, channels, overrides, audit."""

import sqlalchemy as sa
from alembic import op

from capstan.db.tables import RowId
from capstan.db.types import Document, Timestamp

revision = "0001_registry"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "audit_logs",
        sa.Column("id", RowId, nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("record_id", sa.Text(), nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=True),
        sa.Column("org_id", sa.String(length=36), nullable=False),
        sa.Column("old_record", Document, nullable=True),
        sa.Column("new_record", Document, nullable=True),
        sa.Column("changed_fields", Document, nullable=True),
        sa.Column("actor_type", sa.Text(), nullable=False),
        sa.Column("actor_user_id", sa.String(length=36), nullable=True),
        sa.Column("actor_user_email", sa.Text(), nullable=True),
        sa.Column("actor_apikey_id", sa.BigInteger(), nullable=True),
        sa.Column("actor_apikey_name", sa.Text(), nullable=True),
        sa.CheckConstraint("operation in ('INSERT', 'UPDATE', 'DELETE')", name=op.f("ck_audit_logs_operation")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_logs")),
    )
    op.create_index("ix_audit_logs_org_id_created_at", "audit_logs", ["org_id", "created_at"], unique=False)
    op.create_table(
        "deleted_orgs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("deleted_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deleted_orgs")),
    )
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_user_id", sa.String(length=36), nullable=False),
        sa.Column("org_id", sa.String(length=36), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("claimed_at", Timestamp(), nullable=True),
        sa.CheckConstraint("id = 1", name=op.f("ck_installation_one_row")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_installation")),
    )
    op.create_table(
        "stored_objects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_stored_objects")),
    )
    op.create_index(op.f("ix_stored_objects_app_id"), "stored_objects", ["app_id"], unique=False)
    op.create_table(
        "users",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
    )
    op.create_table(
        "apikeys",
        sa.Column("id", RowId, nullable=False),
        sa.Column("rbac_id", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("key_sealed", sa.Text(), nullable=True),
        sa.Column("mode", sa.Text(), nullable=True),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=True),
        sa.CheckConstraint("mode is null or mode in ('read', 'write', 'upload', 'all')", name=op.f("ck_apikeys_mode")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_apikeys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_apikeys")),
        sa.UniqueConstraint("key_hash", name=op.f("uq_apikeys_key_hash")),
        sa.UniqueConstraint("rbac_id", name=op.f("uq_apikeys_rbac_id")),
    )
    op.create_index(op.f("ix_apikeys_user_id"), "apikeys", ["user_id"], unique=False)
    op.create_table(
        "orgs",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.Column("logo", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("management_email", sa.Text(), nullable=False),
        sa.Column("customer_id", sa.Text(), nullable=True),
        sa.Column("website", sa.Text(), nullable=True),
        sa.Column("stats_updated_at", Timestamp(), nullable=True),
        sa.Column("last_stats_updated_at", Timestamp(), nullable=True),
        sa.Column("stats_refresh_requested_at", Timestamp(), nullable=True),
        sa.Column("enforcing_2fa", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("email_preferences", Document, nullable=False),
        sa.Column("password_policy_config", Document, nullable=True),
        sa.Column("enforce_hashed_api_keys", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("require_apikey_expiration", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("max_apikey_expiration_days", sa.Integer(), nullable=True),
        sa.Column("enforce_encrypted_bundles", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("required_encryption_key", sa.Text(), nullable=True),
        sa.Column("has_usage_credits", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("onboarding", Document, nullable=False),
        sa.Column("plan_status", sa.Text(), nullable=True),
        sa.Column("trial_at", Timestamp(), nullable=True),
        sa.Column("mau_exceeded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("bandwidth_exceeded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("storage_exceeded", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_orgs_name_not_empty")),
        sa.CheckConstraint(
            "max_apikey_expiration_days is null or max_apikey_expiration_days between 1 and 365",
            name=op.f("ck_orgs_max_days"),
        ),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"], name=op.f("fk_orgs_created_by")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_orgs")),
        sa.UniqueConstraint("name", "created_by", name=op.f("uq_orgs_name_created_by")),
    )
    op.create_table(
        "apikey_global_permissions",
        sa.Column("apikey_rbac_id", sa.String(length=36), nullable=False),
        sa.Column("permission_key", sa.Text(), nullable=False),
        sa.Column("granted_by", sa.String(length=36), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["apikey_rbac_id"],
            ["apikeys.rbac_id"],
            name=op.f("fk_apikey_global_permissions_apikey_rbac_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("apikey_rbac_id", "permission_key", name=op.f("pk_apikey_global_permissions")),
    )
    op.create_table(
        "apps",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("icon_url", sa.Text(), server_default="", nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=True),
        sa.Column("owner_org", sa.String(length=36), nullable=False),
        sa.Column("last_version", sa.Text(), nullable=True),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.Column("retention", sa.BigInteger(), server_default=sa.text("(2592000)"), nullable=False),
        sa.Column("default_upload_channel", sa.Text(), server_default="production", nullable=False),
        sa.Column("transfer_history", Document, nullable=True),
        sa.Column("channel_device_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("manifest_bundle_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rollout_channel_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("rollout_paused_version_names", Document, nullable=True),
        sa.Column("expose_metadata", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("allow_preview", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("allow_device_custom_id", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("block_provider_infra_requests", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("need_onboarding", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("existing_app", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_from_onboarding", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("onboarding_completed_at", Timestamp(), nullable=True),
        sa.Column("ios_store_url", sa.Text(), nullable=True),
        sa.Column("android_store_url", sa.Text(), nullable=True),
        sa.Column("stats_updated_at", Timestamp(), nullable=True),
        sa.Column("stats_refresh_requested_at", Timestamp(), nullable=True),
        sa.Column("build_timeout_seconds", sa.BigInteger(), server_default=sa.text("(900)"), nullable=False),
        sa.Column("build_timeout_updated_at", Timestamp(), nullable=True),
        sa.Column("device_pin_count", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("build_timeout_seconds between 300 and 21600", name=op.f("ck_apps_build_timeout")),
        sa.CheckConstraint("retention >= 0 and retention < 63113904", name=op.f("ck_apps_retention")),
        sa.ForeignKeyConstraint(["owner_org"], ["orgs.id"], name=op.f("fk_apps_owner_org"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("app_id", name=op.f("pk_apps")),
        sa.UniqueConstraint("id", name=op.f("uq_apps_id")),
    )
    op.create_index(op.f("ix_apps_owner_org"), "apps", ["owner_org"], unique=False)
    op.create_table(
        "org_users",
        sa.Column("id", RowId, nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=False),
        sa.Column("org_id", sa.String(length=36), nullable=False),
        sa.Column("rbac_role_name", sa.Text(), nullable=False),
        sa.Column("is_invite", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_org_users_org_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_org_users_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_org_users")),
        sa.UniqueConstraint("org_id", "user_id", name=op.f("uq_org_users_org_id_user_id")),
    )
    op.create_index(op.f("ix_org_users_user_id"), "org_users", ["user_id"], unique=False)
    op.create_table(
        "app_versions",
        sa.Column("id", RowId, nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("owner_org", sa.String(length=36), nullable=False),
        sa.Column("user_id", sa.String(length=36), nullable=True),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.Column("deleted", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("deleted_at", Timestamp(), nullable=True),
        sa.Column("external_url", sa.Text(), nullable=True),
        sa.Column("checksum", sa.Text(), nullable=True),
        sa.Column("session_key", sa.Text(), nullable=True),
        sa.Column("key_id", sa.String(length=20), nullable=True),
        sa.Column("storage_provider", sa.Text(), server_default="r2", nullable=False),
        sa.Column("r2_path", sa.Text(), nullable=True),
        sa.Column("min_update_version", sa.Text(), nullable=True),
        sa.Column("native_packages", Document, nullable=True),
        sa.Column("manifest_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("link", sa.Text(), nullable=True),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("cli_version", sa.Text(), nullable=True),
        sa.Column("created_by_apikey_rbac_id", sa.String(length=36), nullable=True),
        sa.Column("size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint(
            "storage_provider in ('r2', 'r2-direct', 'external')",
            name=op.f("ck_app_versions_storage_provider"),
        ),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_app_versions_name_not_empty")),
        sa.ForeignKeyConstraint(["app_id"], ["apps.app_id"], name=op.f("fk_app_versions_app_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_app_versions")),
        sa.UniqueConstraint("app_id", "name", name=op.f("uq_app_versions_app_id_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "channels",
        sa.Column("id", RowId, nullable=False),
        sa.Column("rbac_id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("owner_org", sa.String(length=36), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.Column("version", RowId, nullable=True),
        sa.Column("public", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("disable_auto_update_under_native", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("disable_auto_update", sa.Text(), server_default="major", nullable=False),
        sa.Column("ios", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("android", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("electron", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("allow_device_self_set", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("allow_emulator", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("allow_device", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("allow_dev", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("allow_prod", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("rollout_version", RowId, nullable=True),
        sa.Column("rollout_id", sa.String(length=36), nullable=False),
        sa.Column("rollout_percentage_bps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("rollout_enabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("rollout_paused_at", Timestamp(), nullable=True),
        sa.Column("rollout_pause_reason", sa.Text(), nullable=True),
        sa.Column("rollout_cache_ttl_seconds", sa.Integer(), server_default=sa.text("(2592000)"), nullable=False),
        sa.Column("auto_pause_enabled", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("auto_pause_window_minutes", sa.Integer(), server_default=sa.text("(60)"), nullable=False),
        sa.Column("auto_pause_failure_rate_bps", sa.Integer(), nullable=True),
        sa.Column(
            "auto_pause_confidence",
            sa.Numeric(precision=6, scale=5, asdecimal=False),
            server_default=sa.text("(0.95)"),
            nullable=False,
        ),
        sa.Column("auto_pause_min_attempts", sa.Integer(), nullable=True),
        sa.Column("auto_pause_min_failures", sa.Integer(), nullable=True),
        sa.Column("auto_pause_action", sa.Text(), server_default="pause", nullable=False),
        sa.Column("auto_pause_cooldown_minutes", sa.Integer(), server_default=sa.text("(60)"), nullable=False),
        sa.Column("auto_pause_last_triggered_at", Timestamp(), nullable=True),
        sa.Column("auto_pause_last_checked_at", Timestamp(), nullable=True),
        sa.CheckConstraint(
            "auto_pause_action in ('pause', 'rollback', 'notify')", name=op.f("ck_channels_auto_pause_action")
        ),
        sa.CheckConstraint(
            "disable_auto_update in ('major', 'minor', 'patch', 'version_number', 'none')",
            name=op.f("ck_channels_policy"),
        ),
        sa.CheckConstraint(
            "auto_pause_confidence > 0 and auto_pause_confidence < 1", name=op.f("ck_channels_confidence")
        ),
        sa.CheckConstraint("auto_pause_cooldown_minutes between 0 and 10080", name=op.f("ck_channels_cooldown")),
        sa.CheckConstraint(
            "auto_pause_failure_rate_bps is null or auto_pause_failure_rate_bps between 0 and 10000",
            name=op.f("ck_channels_failure_rate"),
        ),
        sa.CheckConstraint("auto_pause_window_minutes between 1 and 10080", name=op.f("ck_channels_window")),
        sa.CheckConstraint("length(name) > 0", name=op.f("ck_channels_name_not_empty")),
        sa.CheckConstraint("rollout_cache_ttl_seconds between 60 and 31536000", name=op.f("ck_channels_rollout_ttl")),
        sa.CheckConstraint("rollout_percentage_bps between 0 and 10000", name=op.f("ck_channels_rollout_bps")),
        sa.ForeignKeyConstraint(["app_id"], ["apps.app_id"], name=op.f("fk_channels_app_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["rollout_version"],
            ["app_versions.id"],
            name=op.f("fk_channels_rollout_version"),
            ondelete="SET NULL",
        ),
        sa.ForeignKeyConstraint(
            ["version"], ["app_versions.id"], name=op.f("fk_channels_version"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channels")),
        sa.UniqueConstraint("app_id", "name", name=op.f("uq_channels_app_id_name")),
        sa.UniqueConstraint("rbac_id", name=op.f("uq_channels_rbac_id")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_channels_rollout_version"), "channels", ["rollout_version"], unique=False)
    op.create_index(op.f("ix_channels_version"), "channels", ["version"], unique=False)
    op.create_index(
        "uq_channels_public_android",
        "channels",
        ["app_id"],
        unique=True,
        sqlite_where=sa.text("public and android"),
        postgresql_where=sa.text("public and android"),
    )
    op.create_index(
        "uq_channels_public_electron",
        "channels",
        ["app_id"],
        unique=True,
        sqlite_where=sa.text("public and electron"),
        postgresql_where=sa.text("public and electron"),
    )
    op.create_index(
        "uq_channels_public_ios",
        "channels",
        ["app_id"],
        unique=True,
        sqlite_where=sa.text("public and ios"),
        postgresql_where=sa.text("public and ios"),
    )
    op.create_table(
        "device_pins",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("app_version_id", RowId, nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.CheckConstraint("device_id = lower(device_id)", name=op.f("ck_device_pins_device_id_lower")),
        sa.ForeignKeyConstraint(["app_id"], ["apps.app_id"], name=op.f("fk_device_pins_app_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["app_version_id"],
            ["app_versions.id"],
            name=op.f("fk_device_pins_app_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("app_id", "device_id", name=op.f("pk_device_pins")),
    )
    op.create_index(op.f("ix_device_pins_app_version_id"), "device_pins", ["app_version_id"], unique=False)
    op.create_table(
        "manifest",
        sa.Column("id", RowId, nullable=False),
        sa.Column("app_version_id", RowId, nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_hash", sa.Text(), nullable=False),
        sa.Column("s3_path", sa.Text(), nullable=False),
        sa.Column("file_size", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.ForeignKeyConstraint(
            ["app_version_id"],
            ["app_versions.id"],
            name=op.f("fk_manifest_app_version_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_manifest")),
        sa.UniqueConstraint("app_version_id", "file_name", name=op.f("uq_manifest_app_version_id_file_name")),
    )
    op.create_index("ix_manifest_file_hash", "manifest", ["file_hash"], unique=False)
    op.create_index("ix_manifest_s3_path", "manifest", ["s3_path"], unique=False)
    op.create_table(
        "channel_devices",
        sa.Column("id", RowId, nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("channel_id", RowId, nullable=False),
        sa.Column("owner_org", sa.String(length=36), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.CheckConstraint("device_id = lower(device_id)", name=op.f("ck_channel_devices_device_id_lower")),
        sa.ForeignKeyConstraint(
            ["app_id"], ["apps.app_id"], name=op.f("fk_channel_devices_app_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_channel_devices_channel_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel_devices")),
        sa.UniqueConstraint("app_id", "device_id", name=op.f("uq_channel_devices_app_id_device_id")),
    )
    op.create_index(op.f("ix_channel_devices_channel_id"), "channel_devices", ["channel_id"], unique=False)
    op.create_table(
        "deploy_history",
        sa.Column("id", RowId, nullable=False),
        sa.Column("channel_id", RowId, nullable=False),
        sa.Column("version_id", RowId, nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("owner_org", sa.String(length=36), nullable=False),
        sa.Column("deployed_at", Timestamp(), nullable=False),
        sa.Column("created_by", sa.String(length=36), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_deploy_history_channel_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["version_id"], ["app_versions.id"], name=op.f("fk_deploy_history_version_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deploy_history")),
    )
    op.create_index(op.f("ix_deploy_history_app_id"), "deploy_history", ["app_id"], unique=False)
    op.create_index(op.f("ix_deploy_history_channel_id"), "deploy_history", ["channel_id"], unique=False)
    op.create_table(
        "role_bindings",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("principal_type", sa.Text(), nullable=False),
        sa.Column("principal_id", sa.String(length=36), nullable=False),
        sa.Column("role_name", sa.Text(), nullable=False),
        sa.Column("scope_type", sa.Text(), nullable=False),
        sa.Column("org_id", sa.String(length=36), nullable=False),
        sa.Column("app_id", sa.String(length=36), nullable=True),
        sa.Column("channel_id", sa.String(length=36), nullable=True),
        sa.Column("granted_by", sa.String(length=36), nullable=True),
        sa.Column("granted_at", Timestamp(), nullable=False),
        sa.Column("expires_at", Timestamp(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("is_direct", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.CheckConstraint("principal_type in ('user', 'apikey')", name=op.f("ck_role_bindings_principal_type")),
        sa.CheckConstraint("scope_type in ('org', 'app', 'channel')", name=op.f("ck_role_bindings_scope_type")),
        sa.ForeignKeyConstraint(["app_id"], ["apps.id"], name=op.f("fk_role_bindings_app_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.rbac_id"], name=op.f("fk_role_bindings_channel_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_role_bindings_org_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_bindings")),
    )
    op.create_index(op.f("ix_role_bindings_app_id"), "role_bindings", ["app_id"], unique=False)
    op.create_index(op.f("ix_role_bindings_channel_id"), "role_bindings", ["channel_id"], unique=False)
    op.create_index(op.f("ix_role_bindings_org_id"), "role_bindings", ["org_id"], unique=False)
    op.create_index(
        "uq_role_bindings_scope",
        "role_bindings",
        ["principal_id", "org_id", sa.text("coalesce(app_id, '')"), sa.text("coalesce(channel_id, '')")],
        unique=True,
    )


def downgrade() -> None:
    op.drop_table("role_bindings")
    op.drop_table("deploy_history")
    op.drop_table("channel_devices")
    op.drop_table("manifest")
    op.drop_table("device_pins")
    op.drop_table("channels")
    op.drop_table("app_versions")
    op.drop_table("org_users")
    op.drop_table("apps")
    op.drop_table("apikey_global_permissions")
    op.drop_table("orgs")
    op.drop_table("apikeys")
    op.drop_table("users")
    op.drop_table("stored_objects")
    op.drop_table("installation")
    op.drop_table("deleted_orgs")
    op.drop_table("audit_logs")
