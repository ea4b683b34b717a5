"""What a request for a list of devices means: pure functions from its parameters to a query, and moments as text.

The parameters are checked here and not in the types of the wire, because each has a code of its own and they are looked
at only after the rights (contract: public 15.1).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from capstan.errors import Problem
from capstan.telemetry.device_queries import DeviceQuery, Order, Position

PAGE_SIZE = 50
MAX_PAGE_SIZE = 1000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(\.\d+)?Z| (\d\d:\d\d:\d\d))", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """The parameters as they were sent, None if they were not. `page` counts from 0 and is 0 in the modern shape."""

    page: int = 0
    cursor: str | None = None
    limit: object = None
    order: object = None
    changed_after: object = None
    with_custom_id: bool = False


def query_of(app_id: str, listing: Listing) -> DeviceQuery:
    """The query, for one row more than the page has: it tells whether there is another page.

    Raises Problem `invalid_limit`, `invalid_order`, `invalid_updated_at`; `invalid_body` for a cursor that is not one
    of ours.
    """
    limit = _limit(listing.limit)
    order = _order(listing.order)
    changed_after = None if listing.changed_after is None else _changed_after(listing.changed_after)
    return DeviceQuery(
        app_id=app_id,
        limit=limit + 1,
        order=order,
        after=_position(listing.cursor, order) if listing.cursor else None,
        offset=listing.page * limit,
        changed_after=changed_after,
        with_custom_id=listing.with_custom_id,
    )


def cursor_after(device_id: str, updated_at: int) -> str:
    """The cursor of the page that follows this row."""
    return f"{moment_text(updated_at)}|{device_id}"


def moment_text(milliseconds: int) -> str:
    """A moment of telemetry (epoch milliseconds) as the wire has it: `2026-01-01T00:00:00.000Z`."""
    moment = _EPOCH + milliseconds * _MILLISECOND
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def milliseconds_of(text: str) -> int | None:
    """Epoch milliseconds of `YYYY-MM-DDTHH:MM:SS[.f]Z` or `YYYY-MM-DD HH:MM:SS` (UTC), None if it is not a moment."""
    match = _MOMENT.fullmatch(text)
    if match is None:
        return None
    day, time, fraction, plain_time = match.groups()
    try:
        moment = datetime.fromisoformat(f"{day}T{time or plain_time}+00:00")
    except ValueError:
        return None
    return (moment - _EPOCH) // _MILLISECOND + int((fraction or ".")[1:4].ljust(3, "0"))


def _limit(value: object) -> int:
    if value is None:
        return PAGE_SIZE
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Problem("invalid_limit", "limit must be a positive integer", more={"limit": value})
    return min(value, MAX_PAGE_SIZE)


def _order(value: object) -> Order | None:
    if value is None:
        return None
    if value not in ("asc", "desc"):
        raise Problem("invalid_order", "order must be asc or desc", more={"order": value})
    return value


def _changed_after(value: object) -> int:
    milliseconds = milliseconds_of(value) if isinstance(value, str) else None
    if milliseconds is None:
        raise Problem("invalid_updated_at", "updated_at must be a calendar date and time", more={"updated_at": value})
    return milliseconds


def _position(cursor: str, order: Order | None) -> Position:
    moment, separator, device_id = cursor.partition("|")
    if not separator:
        raise Problem("invalid_body", "cursor is not one that this server gave out", more={"cursor": cursor})
    if order is None:
        return Position(device_id)
    updated_at = milliseconds_of(moment)
    if updated_at is None:
        raise Problem("invalid_body", "cursor is not one that this server gave out", more={"cursor": cursor})
    return Position(device_id, updated_at)
