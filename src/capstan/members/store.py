"""SQL of members and of the bindings by which they are members."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, delete, exists, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as insert_unless_there

from capstan.access.roles import RoleName
from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import apikeys, org_users, orgs, role_bindings, users

_MEMBERS = select(org_users, users.c.email, users.c.image_url).join(users, users.c.id == org_users.c.user_id)


def of_org(session: ReadSession, org_id: str) -> Sequence[RowMapping]:
    """Everybody in an organization, invited people included, in the order in which they came."""
    return session.rows(_MEMBERS.where(org_users.c.org_id == org_id).order_by(org_users.c.created_at, org_users.c.id))


def find(session: ReadSession, org_id: str, user_id: str) -> RowMapping | None:
    return session.first(_MEMBERS.where(org_users.c.org_id == org_id, org_users.c.user_id == user_id))


def find_account(session: ReadSession, email: str) -> RowMapping | None:
    """The account of an address, however either is capitalized."""
    return session.first(select(users).where(func.lower(users.c.email) == email.lower()).order_by(users.c.id))


def app_roles(session: ReadSession, org_id: str) -> Sequence[RowMapping]:
    """The roles that people hold on apps of an organization: `principal_id`, `role_name`."""
    held = and_(role_bindings.c.principal_type == "user", role_bindings.c.scope_type == "app", _live(session))
    roles = select(role_bindings.c.principal_id, role_bindings.c.role_name).where(
        role_bindings.c.org_id == org_id, held
    )
    return session.rows(roles.distinct())


def lock_org(session: WriteSession, org_id: str) -> None:
    """Let one removal at a time decide who is the last super administrator."""
    session.first(select(orgs.c.id).where(orgs.c.id == org_id).with_for_update(key_share=True))


def has_other_super_admin(session: ReadSession, org_id: str, user_id: str) -> bool:
    """Whether somebody else than this person is super administrator, accepted and not expired."""
    other = (
        select(org_users.c.id)
        .join(role_bindings, role_bindings.c.principal_id == org_users.c.user_id)
        .where(
            org_users.c.org_id == org_id,
            ~org_users.c.is_invite,
            org_users.c.user_id != user_id,
            role_bindings.c.principal_type == "user",
            role_bindings.c.org_id == org_id,
            role_bindings.c.scope_type == "org",
            role_bindings.c.role_name == RoleName.ORG_SUPER_ADMIN,
            _live(session),
        )
    )
    return bool(session.scalar(select(exists(other))))


def insert_member(session: WriteSession, values: dict[str, Any]) -> RowMapping | None:
    """The new row; None when the person is in the organization, be it since this moment."""
    # PostgreSQL's statement: SQLite took the same words for it, and SQLAlchemy writes it for both.
    new = insert_unless_there(org_users).values(values)
    return session.first(new.on_conflict_do_nothing(index_elements=["org_id", "user_id"]).returning(org_users))


def insert_binding(session: WriteSession, values: dict[str, Any]) -> None:
    session.run(insert(role_bindings).values(values))


def delete_bindings(session: WriteSession, org_id: str, user_id: str) -> None:
    """Take everything that a person and the person's keys hold in an organization."""
    keys = select(apikeys.c.rbac_id).where(apikeys.c.user_id == user_id)
    holders = or_(role_bindings.c.principal_id == user_id, role_bindings.c.principal_id.in_(keys))
    session.run(delete(role_bindings).where(role_bindings.c.org_id == org_id, holders))


def delete_member(session: WriteSession, org_id: str, user_id: str) -> RowMapping:
    """The row that was removed."""
    of_person = and_(org_users.c.org_id == org_id, org_users.c.user_id == user_id)
    row = session.first(delete(org_users).where(of_person).returning(org_users))
    assert row is not None
    return row


def _live(session: ReadSession) -> ColumnElement[bool]:
    return or_(role_bindings.c.expires_at.is_(None), role_bindings.c.expires_at > session.now)
