"""Keep periodic jobs and their runs; find bundles by their object; note the objects about to be removed."""

import sqlalchemy as sa
from alembic import op

from capstan.db.tables import RowId
from capstan.db.types import Document, Timestamp

revision = "0004_registry"
down_revision = "0003_registry"


def upgrade() -> None:
    op.create_table(
        "jobs",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("due_at", Timestamp(), nullable=False),
        sa.Column("lease_owner", sa.String(length=32), nullable=True),
        sa.Column("lease_until", Timestamp(), nullable=True),
        sa.Column("started_at", Timestamp(), nullable=True),
        sa.Column("ended_at", Timestamp(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("detail", Document, nullable=True),
        sa.Column("failures", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.CheckConstraint("outcome is null or outcome in ('done', 'stopped', 'failed')", name=op.f("ck_jobs_outcome")),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_jobs")),
    )
    op.create_table(
        "job_runs",
        sa.Column("id", RowId, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("started_at", Timestamp(), nullable=False),
        sa.Column("ended_at", Timestamp(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("detail", Document, nullable=False),
        sa.CheckConstraint("outcome in ('done', 'stopped', 'failed')", name=op.f("ck_job_runs_outcome")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_runs")),
    )
    op.create_index("ix_job_runs_name_id", "job_runs", ["name", "id"], unique=False)
    op.create_table(
        "doomed_objects",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("doomed_at", Timestamp(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_doomed_objects")),
    )
    op.create_index("ix_app_versions_r2_path", "app_versions", ["r2_path"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_app_versions_r2_path", "app_versions")
    op.drop_table("doomed_objects")
    op.drop_table("job_runs")
    op.drop_table("jobs")
