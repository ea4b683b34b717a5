"""Everything that telemetry has of one device, for a person who asks what is known: the rows as they are kept."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from typing import TypeAlias

from sqlalchemy import Connection, Engine, RowMapping, Table, select

from capstan.telemetry.forget import apps_with_devices
from capstan.telemetry.tables import (
    bandwidth_usage,
    device_days,
    devices,
    events,
    failed_bundles,
    monthly_devices,
    unknown_app_events,
)

History: TypeAlias = Mapping[str, Mapping[str, Sequence[RowMapping]]]
"""By app and by what they are: rows, of which there is at least one."""

_BY_APP: Mapping[str, Table] = {
    "device": devices,
    "events": events,
    "active_days": device_days,
    "active_months": monthly_devices,
    "failed_bundles": failed_bundles,
}
_BY_TIME: Mapping[str, Table] = {
    "downloads": bandwidth_usage,
    "requests_of_unknown_apps": unknown_app_events,
}


def history(engine: Engine, device_id: str, app_id: str | None = None) -> History:
    """Of one app, or of all of them; `device_id` in lower case. Takes seconds where there are millions of devices."""
    app_ids = apps_with_devices(engine) if app_id is None else [app_id]
    found: dict[str, dict[str, Sequence[RowMapping]]] = {}
    with engine.connect() as connection:
        for owner, name, rows in _rows(connection, device_id, app_ids):
            if app_id in (None, owner):
                found.setdefault(owner, {})[name] = rows
    return found


def _rows(
    connection: Connection, device_id: str, app_ids: Collection[str]
) -> Iterator[tuple[str, str, Sequence[RowMapping]]]:
    for name, table in _BY_APP.items():
        own = select(table).where(table.c.device_id == device_id).order_by(*table.primary_key.columns)
        for app_id in app_ids:
            if rows := connection.execute(own.where(table.c.app_id == app_id)).mappings().all():
                yield app_id, name, rows
    for name, log in _BY_TIME.items():
        own = select(log).where(log.c.device_id == device_id).order_by(log.c.app_id, log.c.id)
        for app_id, some in groupby(connection.execute(own).mappings(), lambda row: row["app_id"]):
            yield app_id, name, list(some)
