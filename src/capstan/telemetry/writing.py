"""Writing to telemetry from outside the writer: short transactions that wait their turn like everybody's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine

from capstan.db.migrate import file_lock


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction, committed when the block ends well.

    On SQLite it queues on the lock that the writers of all processes queue on, so that neither starves the other. Keep
    it to some ten milliseconds: as long as it lasts no event can be answered.
    """
    with ExitStack() as stack:
        if engine.dialect.name == "sqlite":
            database = engine.url.database
            assert database is not None
            stack.enter_context(file_lock(Path(f"{database}.lock")))
        connection = stack.enter_context(engine.connect().execution_options(capstan_writes=True))
        with connection.begin():
            yield connection
