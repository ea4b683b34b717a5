"""Remember bundles that failed on a device; find installs, failures and signs of trouble in the log quickly."""

import sqlalchemy as sa
from alembic import op

revision = "0004_telemetry"
down_revision = "0003_telemetry"

_OUTCOMES = "usage in ('install', 'fail')"
_TROUBLE = (
    "action in ('app_crash', 'app_crash_native', 'app_anr', 'app_launch_timeout', 'app_initialization_failure',"
    " 'webview_render_process_gone', 'webview_content_process_terminated', 'webview_unclean_restart')"
)


def upgrade() -> None:
    op.create_index(
        "ix_events_outcomes",
        "events",
        ["app_id", "usage_version", "channel_id", "created_at", "usage"],
        sqlite_where=sa.text(_OUTCOMES),
        postgresql_where=sa.text(_OUTCOMES),
    )
    op.create_index(
        "ix_events_trouble",
        "events",
        ["app_id", "version_name", "created_at"],
        sqlite_where=sa.text(_TROUBLE),
        postgresql_where=sa.text(_TROUBLE),
    )
    op.create_table(
        "failed_bundles",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("device_id", sa.String(length=36), nullable=False),
        sa.Column("bundle_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("failed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "device_id", "bundle_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_failed_bundles_failed_at", "failed_bundles", ["failed_at"])


def downgrade() -> None:
    op.drop_table("failed_bundles")
    op.drop_index("ix_events_trouble", "events")
    op.drop_index("ix_events_outcomes", "events")
