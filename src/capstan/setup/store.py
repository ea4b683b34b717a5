"""SQL of the first owner: the installation row, users, and the rows that make a person an organization's owner."""

from __future__ import annotations

from typing import Any

from sqlalchemy import RowMapping, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_unless_there

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import installation, org_users, orgs, role_bindings, users

_THE_ROW = 1


def find_installation(session: ReadSession) -> RowMapping | None:
    return session.first(select(installation))


def insert_installation(session: WriteSession, values: dict[str, Any]) -> bool:
    """Whether this transaction is the one that begins the installation; another's is waited for and then wins."""
    # PostgreSQL's statement: SQLite took the same words for it, and SQLAlchemy writes it for both.
    new = insert_unless_there(installation).values(id=_THE_ROW, **values)
    return session.run(new.on_conflict_do_nothing()) == 1


def mark_claimed(session: WriteSession) -> bool:
    """Whether this transaction is the one that claims the installation."""
    unclaimed = update(installation).where(installation.c.claimed_at.is_(None))
    return session.run(unclaimed.values(claimed_at=session.now)) == 1


def find_user(session: ReadSession, user_id: str) -> RowMapping | None:
    return session.first(select(users).where(users.c.id == user_id))


def find_user_by_email(session: ReadSession, email: str) -> RowMapping | None:
    """The user of an address, however either is capitalized."""
    return session.first(select(users).where(func.lower(users.c.email) == email.lower()).order_by(users.c.id))


def insert_user(session: WriteSession, values: dict[str, Any]) -> None:
    session.run(insert(users).values(values))


def update_user(session: WriteSession, user_id: str, values: dict[str, Any]) -> None:
    session.run(update(users).where(users.c.id == user_id).values(**values, updated_at=session.now))


def find_org(session: ReadSession, org_id: str) -> RowMapping | None:
    return session.first(select(orgs).where(orgs.c.id == org_id))


def insert_org(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(orgs).values(values).returning(orgs))
    assert row is not None
    return row


def update_org(session: WriteSession, org_id: str, values: dict[str, Any]) -> RowMapping:
    changed = update(orgs).where(orgs.c.id == org_id).values(**values, updated_at=session.now)
    row = session.first(changed.returning(orgs))
    assert row is not None
    return row


def insert_member(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(org_users).values(values).returning(org_users))
    assert row is not None
    return row


def insert_binding(session: WriteSession, values: dict[str, Any]) -> None:
    session.run(insert(role_bindings).values(values))
