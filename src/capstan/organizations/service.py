"""The rules of organizations: who may see one, and with which keys (contract: public 3.4, 9)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping

from capstan.access.check import allowed, visible
from capstan.access.permissions import Permission
from capstan.access.principal import KeyPrincipal, OrgScope, Principal
from capstan.db.session import ReadSession
from capstan.errors import Problem
from capstan.organizations import store

PAGE_SIZE = 50


def permitted(session: ReadSession, principal: Principal, permission: Permission, org_id: str) -> RowMapping | None:
    """The organization if it exists and the principal may do this in it, else None: the two look alike from outside."""
    row = store.find(session, org_id)
    return row if row is not None and allowed(principal, permission, OrgScope(org_id), session.now) else None


def read(session: ReadSession, principal: Principal, org_id: str) -> RowMapping:
    """One organization. Raises Problem `invalid_org_id` or `org_requires_expiring_key`."""
    row = permitted(session, principal, Permission.ORG_READ, org_id)
    if row is None:
        raise Problem("invalid_org_id", "You can't access this organization", more={"org_id": org_id})
    refuse_lasting_key(principal, row)
    return row


def list_organizations(session: ReadSession, principal: Principal, *, page: int) -> Sequence[RowMapping]:
    """A page of 50 of the organizations that the principal may read, oldest first (CD-12)."""
    seen = visible(principal, Permission.ORG_READ, session.now)
    return store.page(session, seen, offset=page * PAGE_SIZE, limit=PAGE_SIZE)


def refuse_lasting_key(principal: Principal, org: RowMapping) -> None:
    """Raise Problem `org_requires_expiring_key` for a key that never expires where that is refused (public 3.4)."""
    if org["require_apikey_expiration"] and isinstance(principal, KeyPrincipal) and principal.expires_at is None:
        raise Problem(
            "org_requires_expiring_key",
            "This organization requires API keys with an expiration date. "
            "Please use a different key or update this key with an expiration date.",
            status=401,
            more={"org_id": org["id"]},
        )
