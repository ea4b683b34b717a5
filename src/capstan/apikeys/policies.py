"""What organizations demand of the expiry of keys (contract: public 12.3, 12.4)."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from capstan.access.check import allowed
from capstan.access.permissions import Permission
from capstan.access.principal import OrgScope, Principal
from capstan.apikeys import store
from capstan.db.session import ReadSession
from capstan.errors import Problem


def parsed_expiry(value: object, now: datetime) -> datetime | None:
    """A moment after `now` from ISO 8601 text (UTC unless it has a zone), None from null.

    Raises Problem `invalid_expiration_date`.
    """
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
        moment = moment and (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise Problem("invalid_expiration_date", "Invalid expiration date format")
    if moment <= now:
        raise Problem("invalid_expiration_date", "Expiration date must be in the future")
    return moment


def refuse_expiry(
    session: ReadSession, principal: Principal, org_ids: Collection[str], expires_at: datetime | None
) -> None:
    """Hold the expiry of a key against the demands of its organizations.

    Organizations that the principal cannot read are passed over: their demands are nobody else's business, and the
    rights that are asked next refuse them. Raises Problem `expiration_required` or `expiration_exceeds_max`.
    """
    for policy in store.policies_of(session, org_ids):
        if allowed(principal, Permission.ORG_READ, OrgScope(policy["id"]), session.now):
            _refuse_expiry(
                session.now,
                policy["id"],
                expires_at,
                required=policy["require_apikey_expiration"],
                max_days=policy["max_apikey_expiration_days"],
            )


def _refuse_expiry(
    now: datetime, org_id: str, expires_at: datetime | None, *, required: bool, max_days: int | None
) -> None:
    if expires_at is None:
        if required:
            message = "This organization requires API keys with an expiration date"
            raise Problem("expiration_required", message, more={"org_id": org_id})
        return
    if max_days is not None and expires_at > now + timedelta(days=max_days):
        raise Problem(
            "expiration_exceeds_max",
            f"The expiration date is more than {max_days} days ahead",
            more={"org_id": org_id, "max_days": max_days},
        )
