"""What is known of one device in both databases: told, and erased."""

from __future__ import annotations

import pytest
from sqlalchemy import insert
from structlog.testing import capture_logs

from capstan.db.tables import apps, channel_devices, channel_self_choices, channels, device_pins
from capstan.devices.personal_data import Known, forget, known
from tests.devices.ids import DEVICE, numbered
from tests.public_api.plane import accepted
from tests.public_api.world import APP, SYSTEM, World

OTHER = "com.demo.other"


@pytest.fixture
def placed(world: World) -> World:
    """Two devices that are known to two apps; each was put on a channel and a bundle, and chose a channel itself."""
    for app_id in (APP, world.add_app(OTHER)):
        world.add_bundle("1.0.0", app_id)
        for name in ("beta", "staff"):
            accepted(world.owner.post("/channel", app_id=app_id, channel=name, version="1.0.0"))
        staff = next(row for row in world.rows(channels) if (row["app_id"], row["name"]) == (app_id, "staff"))
        for device_id in (DEVICE, numbered(2)):
            world.add_device(device_id, app_id, custom_id="ann")
            body = {"app_id": app_id, "device_id": device_id, "channel": "beta", "version_id": "1.0.0"}
            assert world.owner.post("/device", **body).status_code == 200
            with world.registry.write(SYSTEM) as session:
                choice = {"app_id": app_id, "device_id": device_id, "channel_id": staff["id"]}
                session.run(insert(channel_self_choices).values(**choice, updated_at=session.now))
    return world


def told(world: World, app_id: str | None = None) -> Known:
    return known(world.registry, world.telemetry, DEVICE, app_id)


def test_everything_is_told_by_app(placed: World) -> None:
    found = told(placed)
    assert found.keys() == {APP, OTHER}
    for app in found.values():
        assert (app["override"], app["pin"], app["own_choice"]) == ("beta", "1.0.0", "staff")
        assert [row["custom_id"] for row in app["device"]] == ["ann"]
    assert told(placed, OTHER).keys() == {OTHER}


def test_everything_is_forgotten(placed: World) -> None:
    placed.alter(apps, {"channel_self_count": 2})
    places, erased = forget(placed.registry, placed.telemetry, SYSTEM, DEVICE)
    assert (places, erased.devices) == (6, 2)
    assert told(placed) == {}
    for table in (channel_devices, device_pins, channel_self_choices):
        assert {row["device_id"] for row in placed.rows(table)} == {numbered(2)}
    for app_id in (APP, OTHER):
        app = placed.app(app_id)
        assert (app["channel_device_count"], app["device_pin_count"], app["channel_self_count"]) == (1, 1, 1)


def test_one_app_can_be_asked_to_forget(placed: World) -> None:
    forget(placed.registry, placed.telemetry, SYSTEM, DEVICE, OTHER)
    assert told(placed).keys() == {APP}


def test_the_log_tells_that_and_not_whom(placed: World) -> None:
    with capture_logs() as lines:
        forget(placed.registry, placed.telemetry, SYSTEM, DEVICE)
    (line,) = (line for line in lines if line["event"] == "a device was forgotten")
    assert (line["places"], line["rows"]) == (6, 2)
    assert DEVICE not in str(lines)


def test_who_is_not_known_is_not_told_of(placed: World) -> None:
    assert known(placed.registry, placed.telemetry, numbered(99)) == {}
    places, erased = forget(placed.registry, placed.telemetry, SYSTEM, numbered(99))
    assert (places, erased.total) == (0, 0)
