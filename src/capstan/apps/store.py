"""SQL of apps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, insert, or_, select, true

from capstan.access.check import Visibility
from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import app_versions, apps, channel_devices, device_pins, orgs


def find(session: ReadSession, app_id: str) -> RowMapping | None:
    return session.first(select(apps).where(apps.c.app_id == app_id))


def page(
    session: ReadSession, seen: Visibility, org_id: str | None, *, offset: int, limit: int
) -> Sequence[RowMapping]:
    """Apps that may be seen, oldest first; of one organization if it is given."""
    visible = true() if seen.everything else or_(apps.c.owner_org.in_(seen.org_ids), apps.c.app_id.in_(seen.app_ids))
    query = select(apps).where(visible).order_by(apps.c.created_at, apps.c.app_id).offset(offset).limit(limit)
    return session.rows(query if org_id is None else query.where(apps.c.owner_org == org_id))


def creator_of_org(session: ReadSession, org_id: str) -> str | None:
    creator: str | None = session.scalar(select(orgs.c.created_by).where(orgs.c.id == org_id))
    return creator


def insert_app(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(apps).values(values).returning(apps))
    assert row is not None
    return row


def lock_bundles(session: WriteSession, app_id: str) -> None:
    """Keep others from an app's bundles; taken before the app's own lock, as everywhere."""
    session.rows(
        select(app_versions.c.id).where(app_versions.c.app_id == app_id).order_by(app_versions.c.id).with_for_update()
    )


def delete_app(session: WriteSession, app_id: str) -> None:
    """Remove an app; what belongs to it goes with it through the references."""
    for table in (channel_devices, device_pins, apps):
        session.run(delete(table).where(table.c.app_id == app_id))
