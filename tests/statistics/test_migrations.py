"""An installation from before these counters: what it has already counts for the day on which it came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta, timezone

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, select

from capstan.db.migrate import MIGRATIONS, migrate, version_table
from capstan.db.tables import daily_storage
from tests.databases import Databases, DatabaseUrls, migrated_databases
from tests.public_api.world import APP, ORG, World


def downgrade(engine: Engine, chain: str, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / chain))
    config.set_main_option("path_separator", "os")
    with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        config.attributes.update(connection=connection, version_table=version_table(chain))
        command.downgrade(config, revision)


@pytest.fixture
def databases(database_urls: DatabaseUrls) -> Iterator[Databases]:
    """Databases of this module's own, for their schemas change."""
    with migrated_databases(database_urls) as databases:
        yield databases


def test_bundles_of_before_are_counted(world: World, databases: Databases) -> None:
    late = datetime(2026, 3, 30, 23, 30, tzinfo=timezone(timedelta(hours=-2)))
    world.add_bundle("1.0.0", size=500, created_at=late)
    world.add_bundle("1.0.1", size=70, created_at=late + timedelta(minutes=5))
    world.add_bundle("1.0.2", size=9)
    world.add_bundle("1.0.3", size=1000, deleted=True)
    downgrade(databases.registry, "registry", "0004_registry")
    migrate(databases.registry, "registry")
    with databases.registry.connect() as connection:
        rows = connection.execute(select(daily_storage).order_by(daily_storage.c.date)).all()
    assert [(row.owner_org, row.app_id, row.storage) for row in rows] == [(ORG, APP, 570), (ORG, APP, 9)]
    assert rows[0].date == date(2026, 3, 31)
