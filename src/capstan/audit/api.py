"""Wire shapes and the route of the audit log (contract: public 11)."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import RowMapping

from capstan.audit import reading
from capstan.web.endpoint import Credentials, Endpoint, ReadCall
from capstan.web.inputs import PAGE_SIZE, invalid_body

_DECIMAL = re.compile(r"[0-9]{1,15}", re.ASCII)

# A body may hold them as text, too.
Whole = Annotated[int, Meta(ge=0, le=2**53 - 1)] | str


class Entry(Struct, frozen=True, kw_only=True):
    """One change. An insert has no `old_record`, a delete no `new_record`; `changed_fields` come with updates only."""

    id: int
    created_at: datetime
    table_name: str
    record_id: str
    operation: str
    user_id: str | None
    org_id: str
    old_record: dict[str, Any] | None
    new_record: dict[str, Any] | None
    changed_fields: list[str] | None
    actor_type: str
    actor_user_id: str | None
    actor_user_email: str | None
    actor_apikey_id: int | None
    actor_apikey_name: str | None


class AuditPage(Struct, frozen=True):
    """`total` counts all pages; `limit` is what was applied."""

    data: list[Entry]
    total: int
    page: int
    limit: int


class AuditQuery(Struct, frozen=True, rename={"org_id": "orgId", "table_name": "tableName"}):
    org_id: str
    table_name: str | None = None
    operation: str | None = None
    page: Whole = 0
    limit: Whole = PAGE_SIZE


def get_audit(call: ReadCall, given: AuditQuery) -> AuditPage:
    page, limit = _whole("page", given.page, 0), min(_whole("limit", given.limit, 1), reading.MAX_PAGE)
    entries = reading.read(
        call.session,
        call.principal,
        given.org_id,
        table_name=given.table_name,
        operation=given.operation,
        page=page,
        limit=limit,
    )
    return AuditPage([_entry(row) for row in entries.rows], entries.total, page, limit)


def _entry(row: RowMapping) -> Entry:
    return Entry(**{name: row[name] for name in Entry.__struct_fields__})


def _whole(name: str, value: int | str, least: int) -> int:
    if isinstance(value, str):
        if _DECIMAL.fullmatch(value) is None:
            raise invalid_body(f"Expected `int` - at `$.{name}`")
        value = int(value)
    if value < least:
        raise invalid_body(f"Expected `int` >= {least} - at `$.{name}`")
    return value


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/organization/audit",
        summary="Read who changed what in an organization",
        handler=get_audit,
        input=AuditQuery,
        output=AuditPage,
        errors=("invalid_org_id", "org_requires_expiring_key"),
        permission="org.read_audit",
        credentials=Credentials.ANY,
    ),
)
