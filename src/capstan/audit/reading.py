"""Who may read what was recorded (contract: public 11)."""

from __future__ import annotations

from capstan.access.permissions import Permission
from capstan.access.principal import Principal
from capstan.audit import store
from capstan.audit.store import Entries
from capstan.db.session import ReadSession
from capstan.errors import Problem
from capstan.organizations import service as organizations

MAX_PAGE = 100


def read(
    session: ReadSession,
    principal: Principal,
    org_id: str,
    *,
    table_name: str | None,
    operation: str | None,
    page: int,
    limit: int,
) -> Entries:
    """A page of at most `limit` (up to 100) entries of an organization, newest first.

    Raises Problem `invalid_org_id` or `org_requires_expiring_key`.
    """
    org = organizations.permitted(session, principal, Permission.ORG_READ_AUDIT, org_id)
    if org is None:
        raise Problem("invalid_org_id", "You can't access this organization", more={"org_id": org_id})
    organizations.refuse_lasting_key(principal, org)
    wanted = {"table_name": table_name, "operation": operation}
    filters = {name: value for name, value in wanted.items() if value}
    limit = min(limit, MAX_PAGE)
    return store.page(session, org_id, filters, offset=page * limit, limit=limit)
