"""An object that is not there is not found, and counted; what is offered stays as it is."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from capstan.db.tables import app_versions, channels
from capstan.telemetry.tables import daily_missing
from tests.faults.devices import Devices, until
from tests.updates.acme import NOTES, Acme
from tests.updates.world import ROOT

URL = f"/files/read/attachments/{ROOT}/{NOTES}/2.1.0.zip?key=x"


def test_a_missing_object_is_counted_and_changes_nothing(devices: Devices) -> None:
    acme = devices.acme
    assert devices.offered() == "2.1.0"
    before = released(acme)
    for _ in range(3):
        answer = acme.client.get(URL)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
        assert devices.offered() == "2.1.0"
    until(lambda: missed(acme) == 3)
    assert released(acme) == before


def missed(acme: Acme) -> int:
    """How many requests of today are counted."""
    with acme.telemetry.connect() as connection:
        today = select(daily_missing.c.requests).where(
            daily_missing.c.app_id == NOTES, daily_missing.c.date == datetime.now(UTC).date()
        )
        return connection.execute(today).scalar() or 0


def released(acme: Acme) -> list[object]:
    """Everything about bundles and channels."""
    with acme.registry.read() as session:
        return [dict(row) for table in (app_versions, channels) for row in session.rows(table.select())]
