"""SQL of organizations."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, select, true

from capstan.access.check import Visibility
from capstan.db.session import ReadSession
from capstan.db.tables import orgs


def find(session: ReadSession, org_id: str) -> RowMapping | None:
    return session.first(select(orgs).where(orgs.c.id == org_id))


def page(session: ReadSession, seen: Visibility, *, offset: int, limit: int) -> Sequence[RowMapping]:
    """Organizations that may be seen, oldest first."""
    visible = true() if seen.everything else orgs.c.id.in_(seen.org_ids)
    query = select(orgs).where(visible).order_by(orgs.c.created_at, orgs.c.id)
    return session.rows(query.offset(offset).limit(limit))
