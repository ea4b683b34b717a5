"""SQL of stored bytes by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlalchemy import BigInteger, RowMapping, func, literal, select, union_all
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import app_versions, daily_storage


def add_storage(session: WriteSession, org_id: str, app_id: str, day: date, delta_bytes: int) -> None:
    """Raise (or lower) what is counted for a day."""
    # PostgreSQL's statement: SQLite took the same words for it, and SQLAlchemy writes it for both.
    new = insert_or_update(daily_storage).values(owner_org=org_id, app_id=app_id, date=day, storage=delta_bytes)
    changed = new.on_conflict_do_update(
        index_elements=list(daily_storage.primary_key.columns),
        set_={"storage": daily_storage.c.storage + new.excluded.storage},
    )
    session.run(changed)


def stored_bytes(session: ReadSession, app_id: str) -> int:
    """What the bundles of an app have together that are not deleted."""
    size = func.coalesce(func.sum(app_versions.c.size), 0)
    return int(session.scalar(select(size).where(app_versions.c.app_id == app_id, ~app_versions.c.deleted)))


def counted_storage(session: ReadSession) -> int:
    """What all days of all apps add up to."""
    return int(session.scalar(select(func.coalesce(func.sum(daily_storage.c.storage), 0))))


def storage_differences(session: ReadSession) -> Sequence[RowMapping]:
    """Apps (`owner_org`, `app_id`) whose days (`counted`) do not add up to what is stored (`stored`).

    One statement, so that both are of the same moment on every database.
    """
    nothing = literal(0, BigInteger)
    days = select(
        daily_storage.c.owner_org,
        daily_storage.c.app_id,
        daily_storage.c.storage.label("counted"),
        nothing.label("stored"),
    )
    bundles = select(
        app_versions.c.owner_org, app_versions.c.app_id, nothing.label("counted"), app_versions.c.size.label("stored")
    ).where(~app_versions.c.deleted)
    both = union_all(days, bundles).subquery("both")
    counted, stored = func.sum(both.c.counted), func.sum(both.c.stored)
    of_app = (both.c.app_id, both.c.owner_org)
    sums = select(*of_app, counted.label("counted"), stored.label("stored")).group_by(*of_app)
    return session.rows(sums.having(counted != stored).order_by(*of_app))
