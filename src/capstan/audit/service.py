"""Recording changes. Other rooms call `inserted`, `updated` and `deleted` right after the change they made."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import RowMapping

from capstan.access.principal import actor_of
from capstan.audit import store
from capstan.db.session import WriteSession

Table = Literal["orgs", "apps", "channels", "app_versions", "org_users"]
Row = RowMapping | Mapping[str, Any]

_RECORD_KEY: Mapping[Table, str] = {
    "orgs": "id",
    "apps": "app_id",
    "channels": "id",
    "app_versions": "id",
    "org_users": "id",
}
_INTERNAL = frozenset({"revision", "device_pin_count", "channel_self_count", "size"})
_LEFT_OUT: Mapping[str, frozenset[str]] = {"app_versions": frozenset({"manifest", "native_packages"})}


def inserted(session: WriteSession, table: Table, org_id: str, new: Row) -> None:
    """Record a row that now exists."""
    _record(session, table, "INSERT", org_id, None, new)


def updated(session: WriteSession, table: Table, org_id: str, old: Row, new: Row) -> None:
    """Record a change; one that changes nothing is recorded too, without changed fields."""
    _record(session, table, "UPDATE", org_id, old, new)


def deleted(session: WriteSession, table: Table, org_id: str, old: Row) -> None:
    """Record a row that is gone."""
    _record(session, table, "DELETE", org_id, old, None)


def _record(session: WriteSession, table: Table, operation: str, org_id: str, old: Row | None, new: Row | None) -> None:
    row = new if new is not None else old
    assert row is not None
    changed = sorted(name for name in row if old is not None and new is not None and old[name] != new[name])
    actor = actor_of(session.actor)
    store.insert_entry(
        session,
        {
            "created_at": session.now,
            "table_name": table,
            "record_id": str(row[_RECORD_KEY[table]]),
            "operation": operation,
            "user_id": actor.user_id,
            "org_id": org_id,
            "old_record": _document(table, old),
            "new_record": _document(table, new),
            "changed_fields": [name for name in changed if name not in _INTERNAL] or None,
            "actor_type": actor.type,
            "actor_user_id": actor.user_id,
            "actor_user_email": actor.user_email,
            "actor_apikey_id": actor.apikey_id,
            "actor_apikey_name": actor.apikey_name,
        },
    )


def _document(table: Table, row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    left_out = _INTERNAL | _LEFT_OUT.get(table, frozenset())
    return {name: _plain(value) for name, value in row.items() if name not in left_out}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
