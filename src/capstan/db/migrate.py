"""Bringing a database to this version's schema, at start, whoever starts first.

Several processes may start at once: one migrates, the others wait for it (a file lock beside a SQLite file, an advisory
lock on PostgreSQL). A schema newer than this program is refused rather than guessed at.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

MIGRATIONS = Path(__file__).with_name("migrations")
_ADVISORY_LOCK = 0x63617073


class SchemaTooNewError(RuntimeError):
    """The database was written by a newer Capstan; its message tells what to do."""


class SchemaState(Enum):
    """Where a database stands, compared with this program."""

    EMPTY = "empty"
    OLDER = "older"
    CURRENT = "current"
    NEWER = "newer"


def migrate(engine: Engine, chain: str) -> None:
    """Upgrade one database along its chain of migrations, "registry" or "telemetry"."""
    config = _config(chain)
    with _exclusively(engine), engine.connect().execution_options(capstan_writes=True) as connection:
        _refuse_newer(connection, config, chain)
        with connection.begin():
            config.attributes["connection"] = connection
            config.attributes["version_table"] = version_table(chain)
            command.upgrade(config, "head")


def version_table(chain: str) -> str:
    """Both chains may live in one PostgreSQL database, so each has a version table of its own."""
    return f"schema_version_{chain}"


def schema_state(engine: Engine, chain: str) -> SchemaState:
    """Look at a database without changing anything."""
    with engine.connect() as connection:
        current = _revision(connection, chain)
    if current is None:
        return SchemaState.EMPTY
    scripts = ScriptDirectory.from_config(_config(chain))
    if current == scripts.get_current_head():
        return SchemaState.CURRENT
    return SchemaState.OLDER if _is_known(scripts, current) else SchemaState.NEWER


def _config(chain: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / chain))
    config.set_main_option("path_separator", "os")
    return config


def _refuse_newer(connection: Connection, config: Config, chain: str) -> None:
    current = _revision(connection, chain)
    if current is not None and not _is_known(ScriptDirectory.from_config(config), current):
        raise SchemaTooNewError(
            f"The {chain} database has schema {current}, which is newer than this Capstan knows. "
            "Start the newer Capstan again, or restore the backup made before the upgrade."
        )


def _revision(connection: Connection, chain: str) -> str | None:
    with connection.begin():
        return MigrationContext.configure(
            connection, opts={"version_table": version_table(chain)}
        ).get_current_revision()


def _is_known(scripts: ScriptDirectory, revision: str) -> bool:
    return any(script.revision == revision for script in scripts.walk_revisions())


@contextmanager
def _exclusively(engine: Engine) -> Iterator[None]:
    if engine.dialect.name == "postgresql":
        with engine.connect() as holder:
            holder.execute(text("select pg_advisory_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            try:
                yield
            finally:
                holder.execute(text("select pg_advisory_unlock(:lock)"), {"lock": _ADVISORY_LOCK})
                holder.rollback()
        return
    database = engine.url.database
    assert database is not None
    with file_lock(Path(f"{database}.migrating")):
        yield


@contextmanager
def file_lock(path: Path) -> Iterator[None]:
    """Hold an advisory lock on a file (made if missing); the system frees it when the process ends."""
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
