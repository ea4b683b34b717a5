"""Several writers at once: nobody fails, and what must be true of all channels stays true (contract: public 7.5)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from capstan.channels import service as channels_service
from capstan.db.session import WriteSession
from capstan.db.tables import channel_devices, channels
from capstan.devices import service as devices_service
from capstan.devices.service import Placement
from tests.channels.requests import put
from tests.devices.ids import numbered
from tests.public_api.world import APP, SYSTEM, World

WRITERS = 6


def write_at_once(world: World, work: Callable[[WriteSession, int], object]) -> None:
    """Run `work` in as many transactions at once as there are writers; every one must succeed."""
    barrier = Barrier(WRITERS)

    def write(number: int) -> None:
        barrier.wait()
        with world.registry.write(SYSTEM) as session:
            work(session, number)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(write, range(WRITERS)))


def test_of_channels_made_public_at_once_one_stays_public(world: World) -> None:
    for number in range(WRITERS):
        put(world, f"channel-{number}")

    def make_public(session: WriteSession, number: int) -> None:
        channels_service.save(session, SYSTEM, APP, f"channel-{number}", {"public": True})

    write_at_once(world, make_public)
    assert sum(row["public"] for row in world.rows(channels)) == 1


def test_a_channel_created_at_once_by_several_is_one_channel(world: World) -> None:
    world.add_bundle("1.0.0")

    def create(session: WriteSession, number: int) -> None:
        channels_service.save(session, SYSTEM, APP, "beta", {"version": "1.0.0", "public": True})

    write_at_once(world, create)
    assert len(world.rows(channels)) == 1
    assert [row["operation"] for row in world.audit_of("channels")] == ["INSERT"] + ["UPDATE"] * (WRITERS - 1)


def test_overrides_set_at_once_are_counted_exactly(world: World) -> None:
    put(world)
    put(world, "staff")

    def place(session: WriteSession, number: int) -> None:
        for device in (number, 100):
            channel = "beta" if number % 2 else "staff"
            wanted = Placement(APP, numbered(device), channel)
            devices_service.place(session, SYSTEM, wanted, pins_allowed=False)

    write_at_once(world, place)
    assert len(world.rows(channel_devices)) == world.app()["channel_device_count"] == WRITERS + 1


def test_a_channel_is_deleted_while_devices_are_forced_onto_it(world: World) -> None:
    put(world)
    put(world, "staff")

    def work(session: WriteSession, number: int) -> None:
        if number == 0:
            channels_service.delete(session, SYSTEM, APP, "beta")
        elif channels_service.find(session, APP, "staff") is not None:
            wanted = Placement(APP, numbered(number), "staff")
            devices_service.place(session, SYSTEM, wanted, pins_allowed=False)

    write_at_once(world, work)
    assert world.app()["channel_device_count"] == len(world.rows(channel_devices)) == WRITERS - 1
