"""Remember which role on the apps somebody is invited to."""

import sqlalchemy as sa
from alembic import op

revision = "0006_registry"
down_revision = "0005_registry"


def upgrade() -> None:
    op.add_column("org_users", sa.Column("invited_app_role", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("org_users", "invited_app_role")
