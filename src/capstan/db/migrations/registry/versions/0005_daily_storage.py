"""Count stored bytes by day; what is stored already counts for the day on which it came."""

import sqlalchemy as sa
from alembic import op

revision = "0005_registry"
down_revision = "0004_registry"

# A moment is text that begins with its UTC date on SQLite.
_DAYS = {"sqlite": "substr(created_at, 1, 10)", "postgresql": "cast(created_at at time zone 'utc' as date)"}


def upgrade() -> None:
    op.create_table(
        "daily_storage",
        sa.Column("owner_org", sa.String(length=36), nullable=False),
        sa.Column("app_id", sa.Text(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("storage", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_org"], ["orgs.id"], name=op.f("fk_daily_storage_owner_org"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("owner_org", "app_id", "date", name=op.f("pk_daily_storage")),
        sqlite_with_rowid=False,
    )
    day = _DAYS[op.get_bind().dialect.name]
    op.execute(
        "insert into daily_storage (owner_org, app_id, date, storage)"
        f" select owner_org, app_id, {day}, sum(size) from app_versions"
        f" where not deleted and size <> 0 group by owner_org, app_id, {day}"
    )


def downgrade() -> None:
    op.drop_table("daily_storage")
