"""What an operator decides replaces what an older plugin chose and keeps on the server (contract: device 3.2)."""

from __future__ import annotations

import pytest

from capstan.db.tables import channel_self_choices, channels
from capstan.updates.channel_self import choices
from tests.devices.ids import DEVICE, numbered
from tests.public_api.plane import accepted
from tests.public_api.world import APP, SYSTEM, World


@pytest.fixture
def chosen(world: World) -> World:
    """A world in which the device has chosen the channel `beta`."""
    for name in ("beta", "staff"):
        accepted(world.owner.post("/channel", app_id=APP, channel=name))
    with world.registry.write(SYSTEM) as session:
        choices.keep(session, APP, DEVICE, world.rows(channels)[0]["id"])
    return world


def choice_of(world: World) -> str | None:
    names = {row["id"]: row["name"] for row in world.rows(channels)}
    return next((names[row["channel_id"]] for row in world.rows(channel_self_choices)), None)


def test_an_override_becomes_the_devices_choice_too(chosen: World) -> None:
    accepted(chosen.owner.post("/device", app_id=APP, device_id=DEVICE, channel="staff"))
    assert choice_of(chosen) == "staff"


def test_an_override_of_another_device_leaves_the_choice(chosen: World) -> None:
    accepted(chosen.owner.post("/device", app_id=APP, device_id=numbered(1), channel="staff"))
    accepted(chosen.owner.delete("/device", app_id=APP, device_id=numbered(1)))
    assert choice_of(chosen) == "beta"


def test_a_release_takes_the_choice_away(chosen: World) -> None:
    assert chosen.app()["channel_self_count"] == 1
    accepted(chosen.owner.delete("/device", app_id=APP, device_id=DEVICE))
    assert choice_of(chosen) is None
    assert chosen.app()["channel_self_count"] == 0


def test_the_choice_goes_with_its_channel(chosen: World) -> None:
    accepted(chosen.owner.delete("/channel", app_id=APP, channel="beta"))
    assert choice_of(chosen) is None
    assert chosen.app()["channel_self_count"] == 0
