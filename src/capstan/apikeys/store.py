"""SQL of API keys and of the role bindings that give them power."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, and_, delete, exists, insert, or_, select, update

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


def of_user(session: ReadSession, user_id: str) -> Sequence[RowMapping]:
    """All keys of a person, oldest first."""
    return session.rows(_WITH_OWNER.where(apikeys.c.user_id == user_id).order_by(apikeys.c.id))


def by_id(session: ReadSession, key_id: int) -> RowMapping | None:
    return session.first(_WITH_OWNER.where(apikeys.c.id == key_id))


def all_keys(session: ReadSession) -> Sequence[RowMapping]:
    return session.rows(_WITH_OWNER.order_by(apikeys.c.id))


_BINDINGS = (
    select(role_bindings, apps.c.app_id.label("app_name"))
    .join(apps, apps.c.id == role_bindings.c.app_id, isouter=True)
    .join(channels, channels.c.rbac_id == role_bindings.c.channel_id, isouter=True)
    # Only those whose organization, app and channel belong together count (contract: public 8.2).
    .where(
        or_(role_bindings.c.app_id.is_(None), apps.c.owner_org == role_bindings.c.org_id),
        or_(role_bindings.c.channel_id.is_(None), channels.c.app_id == apps.c.app_id),
    )
    .order_by(role_bindings.c.granted_at, role_bindings.c.id)
)


def bindings_of(session: ReadSession, principal_id: str) -> Sequence[RowMapping]:
    """The bindings of a person or key."""
    return session.rows(_BINDINGS.where(role_bindings.c.principal_id == principal_id))


def bindings_of_keys(session: ReadSession, user_id: str) -> Sequence[RowMapping]:
    """The bindings of all keys of a person."""
    return session.rows(_BINDINGS.where(role_bindings.c.principal_id.in_(_key_identities(user_id))))


def global_permissions_of(session: ReadSession, rbac_id: str) -> list[str]:
    rows = session.rows(
        select(apikey_global_permissions.c.permission_key)
        .where(apikey_global_permissions.c.apikey_rbac_id == rbac_id)
        .order_by(apikey_global_permissions.c.permission_key)
    )
    return [row["permission_key"] for row in rows]


def global_permissions_of_keys(session: ReadSession, user_id: str) -> Sequence[RowMapping]:
    """What all keys of a person may do beyond any organization: `apikey_rbac_id` and `permission_key`."""
    of_keys = apikey_global_permissions.c.apikey_rbac_id.in_(_key_identities(user_id))
    return session.rows(
        select(apikey_global_permissions).where(of_keys).order_by(apikey_global_permissions.c.permission_key)
    )


def _key_identities(user_id: str) -> Select[tuple[str]]:
    return select(apikeys.c.rbac_id).where(apikeys.c.user_id == user_id)


def policies_of(session: ReadSession, org_ids: Collection[str]) -> Sequence[RowMapping]:
    """What organizations demand of the expiry of keys."""
    demands = select(orgs.c.id, orgs.c.require_apikey_expiration, orgs.c.max_apikey_expiration_days)
    return session.rows(demands.where(orgs.c.id.in_(org_ids)).order_by(orgs.c.id))


def apps_by_id(session: ReadSession, app_ids: Collection[str]) -> Mapping[str, RowMapping]:
    """Apps by `apps.id`."""
    rows = session.rows(select(apps.c.id, apps.c.app_id, apps.c.owner_org).where(apps.c.id.in_(app_ids)))
    return {row["id"]: row for row in rows}


def apps_called(session: ReadSession, org_ids: Collection[str], names: Collection[str]) -> Sequence[RowMapping]:
    """Apps of some organizations by `apps.id` or by text id."""
    called = or_(apps.c.id.in_(names), apps.c.app_id.in_(names))
    return session.rows(select(apps.c.id, apps.c.app_id, apps.c.owner_org).where(apps.c.owner_org.in_(org_ids), called))


def channels_by_rbac_id(session: ReadSession, rbac_ids: Collection[str]) -> Mapping[str, RowMapping]:
    rows = session.rows(select(channels.c.rbac_id, channels.c.app_id).where(channels.c.rbac_id.in_(rbac_ids)))
    return {row["rbac_id"]: row for row in rows}


def has_org_that_refuses_plain_keys(session: ReadSession, org_ids: Collection[str]) -> bool:
    return bool(session.scalar(select(exists().where(orgs.c.id.in_(org_ids), orgs.c.enforce_hashed_api_keys))))


def orgs_of_member(session: ReadSession, user_id: str) -> list[str]:
    """Organizations that a person belongs to, invitations aside."""
    rows = session.rows(select(org_users.c.org_id).where(org_users.c.user_id == user_id, ~org_users.c.is_invite))
    return [row["org_id"] for row in rows]


def insert_key(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(apikeys).values(values).returning(apikeys))
    assert row is not None
    return row


def lock(session: WriteSession, key_id: int) -> None:
    """Keep other writers away from a key until the commit."""
    session.first(select(apikeys.c.id).where(apikeys.c.id == key_id).with_for_update())


def update_key(session: WriteSession, key_id: int, values: dict[str, Any]) -> None:
    session.run(update(apikeys).where(apikeys.c.id == key_id).values(values))


def insert_bindings(session: WriteSession, rows: Sequence[dict[str, Any]]) -> None:
    session.run(insert(role_bindings), list(rows))


def insert_global_permission(session: WriteSession, rbac_id: str, permission: str, granted_by: str | None) -> None:
    session.run(
        insert(apikey_global_permissions).values(
            apikey_rbac_id=rbac_id, permission_key=permission, granted_by=granted_by
        )
    )


def delete_bindings(session: WriteSession, rbac_id: str) -> None:
    of_key = and_(role_bindings.c.principal_type == "apikey", role_bindings.c.principal_id == rbac_id)
    session.run(delete(role_bindings).where(of_key))


def delete_global_permissions(session: WriteSession, rbac_id: str) -> None:
    session.run(delete(apikey_global_permissions).where(apikey_global_permissions.c.apikey_rbac_id == rbac_id))


def delete_key(session: WriteSession, key_id: int, rbac_id: str) -> None:
    """Remove a key with everything that gave it power."""
    delete_bindings(session, rbac_id)
    session.run(delete(apikeys).where(apikeys.c.id == key_id))
