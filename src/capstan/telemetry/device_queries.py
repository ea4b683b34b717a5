"""Reading device rows: one by its id, or a page of an app's (contract: public 15.1).

Pages are cut by the last row of the page before, so a page costs the same however far back it lies. `offset` exists for
the older dialect, which counts pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sqlalchemy import ColumnElement, Engine, RowMapping, Select, and_, or_, select

from capstan.telemetry.tables import devices

Order: TypeAlias = Literal["asc", "desc"]


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page. `updated_at` in epoch milliseconds; it counts only where that is the order."""

    device_id: str
    updated_at: int | None = None


@dataclass(frozen=True, slots=True)
class DeviceQuery:
    """Which rows of an app, in which order: by `updated_at` if `order` is given, else by id. Always ends by id.

    `changed_after` is epoch milliseconds, exclusive. `limit` rows at most, after `after` and then `offset` more.
    """

    app_id: str
    limit: int
    order: Order | None = None
    after: Position | None = None
    offset: int = 0
    changed_after: int | None = None
    with_custom_id: bool = False


def find(engine: Engine, app_id: str, device_id: str) -> RowMapping | None:
    """One device; `device_id` in lower case."""
    with engine.connect() as connection:
        query = select(devices).where(devices.c.app_id == app_id, devices.c.device_id == device_id)
        return connection.execute(query).mappings().first()


def page(engine: Engine, wanted: DeviceQuery) -> Sequence[RowMapping]:
    """The rows of one page."""
    with engine.connect() as connection:
        return connection.execute(_page(wanted)).mappings().all()


def _page(wanted: DeviceQuery) -> Select[Any]:
    query = select(devices).where(devices.c.app_id == wanted.app_id)
    if wanted.changed_after is not None:
        query = query.where(devices.c.updated_at > wanted.changed_after)
    if wanted.with_custom_id:
        query = query.where(devices.c.custom_id != "")
    if wanted.after is not None:
        query = query.where(_beyond(wanted.after, wanted.order))
    return query.order_by(*_ordering(wanted.order)).offset(wanted.offset).limit(wanted.limit)


def _ordering(order: Order | None) -> tuple[ColumnElement[Any], ...]:
    if order is None:
        return (devices.c.device_id,)
    return (devices.c.updated_at.asc() if order == "asc" else devices.c.updated_at.desc(), devices.c.device_id)


def _beyond(last: Position, order: Order | None) -> ColumnElement[bool]:
    further = devices.c.device_id > last.device_id
    if order is None or last.updated_at is None:
        return further
    moment = devices.c.updated_at
    later = moment > last.updated_at if order == "asc" else moment < last.updated_at
    return or_(later, and_(moment == last.updated_at, further))
