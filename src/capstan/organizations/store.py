"""SQL of organizations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, delete, insert, select, true, update
from sqlalchemy.dialects.postgresql import insert as insert_unless_there

from capstan.access.check import Visibility
from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import apps, audit_logs, deleted_orgs, org_users, orgs, role_bindings


def find(session: ReadSession, org_id: str) -> RowMapping | None:
    return session.first(select(orgs).where(orgs.c.id == org_id))


def page(session: ReadSession, seen: Visibility, *, offset: int, limit: int) -> Sequence[RowMapping]:
    """Organizations that may be seen, oldest first."""
    visible = true() if seen.everything else orgs.c.id.in_(seen.org_ids)
    query = select(orgs).where(visible).order_by(orgs.c.created_at, orgs.c.id)
    return session.rows(query.offset(offset).limit(limit))


def find_locked(session: WriteSession, org_id: str) -> RowMapping | None:
    """An organization that nobody else changes until the commit."""
    return session.first(select(orgs).where(orgs.c.id == org_id).with_for_update(key_share=True))


def lock_against_additions(session: WriteSession, org_id: str) -> None:
    """Let nobody add anything to an organization any more; for its end."""
    session.first(select(orgs.c.id).where(orgs.c.id == org_id).with_for_update())


def app_ids(session: ReadSession, org_id: str) -> list[str]:
    """The text ids of an organization's apps, in order, so that whoever locks them one by one meets nobody half-way."""
    rows = session.rows(select(apps.c.app_id).where(apps.c.owner_org == org_id).order_by(apps.c.app_id))
    return [row["app_id"] for row in rows]


def insert_org(session: WriteSession, values: dict[str, Any]) -> RowMapping | None:
    """The new row; None when its creator has an organization of this name, be it since this moment."""
    # PostgreSQL's statement: SQLite took the same words for it, and SQLAlchemy writes it for both.
    new = insert_unless_there(orgs).values(values)
    return session.first(new.on_conflict_do_nothing(index_elements=["name", "created_by"]).returning(orgs))


def insert_member(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(org_users).values(values).returning(org_users))
    assert row is not None
    return row


def insert_bindings(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    session.run(insert(role_bindings), list(rows))


def update_org(session: WriteSession, org_id: str, values: dict[str, Any]) -> RowMapping:
    changed = update(orgs).where(orgs.c.id == org_id).values(**values, updated_at=session.now)
    row = session.first(changed.returning(orgs))
    assert row is not None
    return row


def delete_org(session: WriteSession, org_id: str) -> None:
    """Remove an organization with its audit log; members and bindings go through the references. Its id stays taken."""
    session.run(delete(orgs).where(orgs.c.id == org_id))
    session.run(delete(audit_logs).where(audit_logs.c.org_id == org_id))
    session.run(insert(deleted_orgs).values(id=org_id, deleted_at=session.now))
