"""Count installs that nobody offered; note what forgotten rows had counted for."""

import sqlalchemy as sa
from alembic import op

revision = "0005_telemetry"
down_revision = "0004_telemetry"

_OFFERS = "usage = 'get'"


def upgrade() -> None:
    op.add_column("events", sa.Column("unoffered", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.add_column("daily_version", sa.Column("unoffered", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.create_index(
        "ix_events_offers",
        "events",
        ["app_id", "device_id", "usage_version"],
        sqlite_where=sa.text(_OFFERS),
        postgresql_where=sa.text(_OFFERS),
    )
    op.create_table(
        "forgotten_counts",
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("counter", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("app_id", "date", "counter", "subject"),
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    op.drop_table("forgotten_counts")
    op.drop_index("ix_events_offers", "events")
    op.drop_column("daily_version", "unoffered")
    op.drop_column("events", "unoffered")
