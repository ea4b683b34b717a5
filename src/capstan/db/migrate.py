"""Bringing a database to this version's schema, at start, whoever starts first.

Several processes may start at once: one migrates, the others wait for it (a file lock beside a SQLite file, an advisory
lock on PostgreSQL). A schema newer than this program is refused rather than guessed at.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
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


def migrate(engine: Engine, chain: str) -> None:
    """Upgrade one database along its chain of migrations, "registry" or "telemetry"."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS / chain))
    config.set_main_option("path_separator", "os")
    with _exclusively(engine), engine.connect().execution_options(capstan_writes=True) as connection:
        _refuse_newer(connection, config, chain)
        with connection.begin():
            config.attributes["connection"] = connection
            config.attributes["version_table"] = version_table(chain)
            command.upgrade(config, "head")


def version_table(chain: str) -> str:
    """Both chains may live in one PostgreSQL database, so each has a version table of its own."""
    return f"schema_version_{chain}"


def _refuse_newer(connection: Connection, config: Config, chain: str) -> None:
    with connection.begin():
        context = MigrationContext.configure(connection, opts={"version_table": version_table(chain)})
        current = context.get_current_revision()
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current is not None and current not in known:
        raise SchemaTooNewError(
            f"The {chain} database has schema {current}, which is newer than this Capstan knows. "
            "Start the newer Capstan again, or restore the backup made before the upgrade."
        )


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
