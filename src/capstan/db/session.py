"""One transaction a request, read or write, and the change feed that goes with a write.

A `WriteSession` is committed by whoever opened it (the plumbing), never by a service. What can alter a device's answer
says so with `touch_app` or `touch_org`: the app's revision moves in the same transaction, and on PostgreSQL a
notification leaves with the commit (house rule: read your writes).

Writers of one app wait for each other with `lock_app`. Rows are locked in one order, so that they never block each
other: bundles, then the app, then the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Engine, Executable, RowMapping, select, text, update

from capstan.access.principal import Principal
from capstan.db.engine import connect_for_device
from capstan.db.tables import apps

CHANGE_CHANNEL = "capstan_apps"
"""PostgreSQL notification channel; the payload is an app id."""


class ReadSession:
    """Reads of one state of the registry. `now` is the moment of the transaction, aware UTC."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._connection = connection
        self.now = now

    def rows(self, statement: Executable) -> Sequence[RowMapping]:
        return self._connection.execute(statement).mappings().all()

    def first(self, statement: Executable) -> RowMapping | None:
        return self._connection.execute(statement).mappings().first()

    def scalar(self, statement: Executable) -> Any:
        return self._connection.execute(statement).scalar()


class WriteSession(ReadSession):
    """Reads and writes of one transaction on behalf of `actor`, who is named in the audit log."""

    def __init__(self, connection: Connection, now: datetime, actor: Principal) -> None:
        super().__init__(connection, now)
        self.actor = actor
        self._touched: set[str] = set()
        self._notified: set[str] = set()

    def run(self, statement: Executable, rows: Sequence[dict[str, Any]] | None = None) -> int:
        """Execute a statement (once for each of `rows`, if given) and return how many rows it changed."""
        if rows is not None and not rows:
            return 0
        # Without the option an insert's count is unknown on PostgreSQL, where it also returns the new id.
        counted = {"preserve_rowcount": True}
        return self._connection.execute(statement, rows, execution_options=counted).rowcount

    def touch_app(self, app_id: str) -> None:
        """Note that devices of this app may now get other answers. Harmless for an app that is gone by the end."""
        self._touched.add(app_id)

    def touch_org(self, org_id: str) -> None:
        """As `touch_app`, for every app of an organization."""
        self._touched.update(
            self._connection.execute(select(apps.c.app_id).where(apps.c.owner_org == org_id)).scalars()
        )

    def notify_app(self, app_id: str) -> None:
        """Have snapshots of this app compared anew though its revision stays: a count of its row left or reached 0."""
        self._notified.add(app_id)

    def lock_app(self, app_id: str) -> None:
        """Keep other writers away from what belongs to this app until the commit (on SQLite they are away anyway)."""
        self._connection.execute(select(apps.c.app_id).where(apps.c.app_id == app_id).with_for_update(key_share=True))

    def settle(self) -> None:
        """Move the revisions of all touched apps and send the notices; called once, right before the commit."""
        if self._touched:
            touched = sorted(self._touched)
            moved = update(apps).where(apps.c.app_id.in_(touched)).values(revision=apps.c.revision + 1)
            self._connection.execute(moved)
        if self._connection.dialect.name == "postgresql":
            notify = text("select pg_notify(:channel, :app_id)")
            for app_id in sorted(self._touched | self._notified):
                self._connection.execute(notify, {"channel": CHANGE_CHANNEL, "app_id": app_id})


class Registry:
    """The registry's database, and the only way to a transaction on it. Safe to use from several threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @contextmanager
    def read(self) -> Iterator[ReadSession]:
        with self.engine.connect() as connection, connection.begin():
            yield ReadSession(connection, datetime.now(UTC))

    @contextmanager
    def write(self, actor: Principal, *, for_device: bool = False) -> Iterator[WriteSession]:
        """Commit when the block ends well, roll everything back when it raises.

        What is done `for_device` fails when it has waited as long as a device may be kept waiting.
        """
        connection = connect_for_device(self.engine) if for_device else self.engine.connect()
        with connection.execution_options(capstan_writes=True), connection.begin():
            session = WriteSession(connection, datetime.now(UTC), actor)
            yield session
            session.settle()

    def close(self) -> None:
        self.engine.dispose()


def first_revision(now: datetime) -> int:
    """The revision of a new app: later than any that a deleted app of the same id can have reached."""
    return int(now.timestamp() * 1_000_000)


__all__ = [
    "CHANGE_CHANNEL",
    "ReadSession",
    "Registry",
    "WriteSession",
    "first_revision",
]
