"""SQL of API keys and of the role bindings that give them power."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, and_, delete, exists, insert, or_, select, update

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import (
    apikey_global_permissions,
    apikeys,
    apps,
    channels,
    org_users,
    orgs,
    role_bindings,
    users,
)

_WITH_OWNER = select(apikeys, users.c.email.label("user_email")).join(users, users.c.id == apikeys.c.user_id)


def by_hash(session: ReadSession, key_hash: str) -> RowMapping | None:
    return session.first(_WITH_OWNER.where(apikeys.c.key_hash == key_hash))


def by_id(session: ReadSession, key_id: int) -> RowMapping | None:
    return session.first(_WITH_OWNER.where(apikeys.c.id == key_id))


def all_keys(session: ReadSession) -> Sequence[RowMapping]:
    return session.rows(_WITH_OWNER.order_by(apikeys.c.id))


def bindings_of(session: ReadSession, principal_id: str) -> Sequence[RowMapping]:
    """A principal's bindings whose organization, app and channel belong together (contract: public 8.2)."""
    return session.rows(
        select(role_bindings, apps.c.app_id.label("app_name"))
        .join(apps, apps.c.id == role_bindings.c.app_id, isouter=True)
        .join(channels, channels.c.rbac_id == role_bindings.c.channel_id, isouter=True)
        .where(
            role_bindings.c.principal_id == principal_id,
            or_(role_bindings.c.app_id.is_(None), apps.c.owner_org == role_bindings.c.org_id),
            or_(role_bindings.c.channel_id.is_(None), channels.c.app_id == apps.c.app_id),
        )
    )


def global_permissions_of(session: ReadSession, rbac_id: str) -> list[str]:
    rows = session.rows(
        select(apikey_global_permissions.c.permission_key)
        .where(apikey_global_permissions.c.apikey_rbac_id == rbac_id)
        .order_by(apikey_global_permissions.c.permission_key)
    )
    return [row["permission_key"] for row in rows]


def has_org_that_refuses_plain_keys(session: ReadSession, org_ids: Sequence[str]) -> bool:
    return bool(
        session.scalar(select(exists().where(orgs.c.id.in_(org_ids), orgs.c.enforce_hashed_api_keys)))
    )


def orgs_of_member(session: ReadSession, user_id: str) -> list[str]:
    """Organizations that a person belongs to, invitations aside."""
    rows = session.rows(
        select(org_users.c.org_id).where(org_users.c.user_id == user_id, ~org_users.c.is_invite)
    )
    return [row["org_id"] for row in rows]


def insert_key(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(apikeys).values(values).returning(apikeys))
    assert row is not None
    return row


def rename(session: WriteSession, key_id: int, name: str) -> None:
    session.run(update(apikeys).where(apikeys.c.id == key_id).values(name=name))


def insert_bindings(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    session.run(insert(role_bindings), list(rows))


def insert_global_permission(session: WriteSession, rbac_id: str, permission: str, granted_by: str | None) -> None:
    session.run(
        insert(apikey_global_permissions).values(
            apikey_rbac_id=rbac_id, permission_key=permission, granted_by=granted_by
        )
    )


def delete_key(session: WriteSession, key_id: int, rbac_id: str) -> None:
    """Remove a key with everything that gave it power."""
    session.run(
        delete(role_bindings).where(
            and_(role_bindings.c.principal_type == "apikey", role_bindings.c.principal_id == rbac_id)
        )
    )
    session.run(delete(apikeys).where(apikeys.c.id == key_id))
