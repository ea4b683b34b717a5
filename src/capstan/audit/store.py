"""SQL of the audit log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, and_, func, insert, select

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import audit_logs


@dataclass(frozen=True, slots=True)
class Entries:
    """Some entries, and how many there are in all."""

    rows: Sequence[RowMapping]
    total: int


def insert_entry(session: WriteSession, entry: dict[str, Any]) -> None:
    session.run(insert(audit_logs).values(entry))


def page(session: ReadSession, org_id: str, filters: Mapping[str, str], *, offset: int, limit: int) -> Entries:
    """Entries of an organization, newest first, whose columns named in `filters` have these values."""
    wanted = and_(audit_logs.c.org_id == org_id, *(audit_logs.c[name] == value for name, value in filters.items()))
    newest_first = select(audit_logs).where(wanted).order_by(audit_logs.c.created_at.desc(), audit_logs.c.id.desc())
    total: int = session.scalar(select(func.count()).select_from(audit_logs).where(wanted))
    return Entries(session.rows(newest_first.offset(offset).limit(limit)), total)
