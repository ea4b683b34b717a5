"""The device plane reflects what was answered here: on SQLite at once, on PostgreSQL by a notice (read your writes)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from capstan.db.session import CHANGE_CHANNEL
from capstan.devices import service
from capstan.devices.service import Placement
from capstan.stores import sqlite_file
from capstan.updates.directory_sqlite import SqliteDirectory
from tests.databases import Databases
from tests.devices.ids import DEVICE, numbered
from tests.public_api.plane import accepted
from tests.public_api.world import APP, SYSTEM, World


@pytest.fixture
def released(world: World) -> World:
    world.add_bundle("1.0.0")
    accepted(world.owner.post("/channel", app_id=APP, channel="beta", version="1.0.0"))
    return world


@pytest.mark.parametrize("shared_databases", ["postgresql"], indirect=True)
def test_only_the_first_and_the_last_state_of_a_device_are_announced(released: World, databases: Databases) -> None:
    def place(number: int, **members: str) -> Callable[[], object]:
        return lambda: accepted(released.owner.post("/device", app_id=APP, device_id=numbered(number), **members))

    def release(number: int) -> Callable[[], object]:
        return lambda: accepted(released.owner.delete("/device", app_id=APP, device_id=numbered(number)))

    steps = (
        place(1, channel="beta"),
        place(1, version_id="1.0.0"),
        place(2, channel="beta"),
        release(1),
        release(1),
        release(2),
        place(3, version_id="1.0.0", channel="beta"),
    )
    with psycopg.connect(databases.urls.registry, autocommit=True) as connection:
        connection.execute(f"listen {CHANGE_CHANNEL}")
        announced = [_announced_by(step, connection) for step in steps]
    assert announced == [[APP], [], [], [], [], [APP], [APP]]


def _announced_by(step: Callable[[], object], connection: psycopg.Connection) -> list[str]:
    """What is announced by a step: everything up to a notice of our own, which comes after it."""
    step()
    connection.execute("select pg_notify(%s, 'the end')", (CHANGE_CHANNEL,))
    payloads: list[str] = []
    for notice in connection.notifies(timeout=30):
        if notice.payload == "the end":
            return payloads
        payloads.append(notice.payload)
    raise AssertionError("the notice of our own never came")


@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_the_next_look_at_the_app_knows_that_a_device_has_state(released: World, databases: Databases) -> None:
    def place() -> None:
        with released.registry.write(SYSTEM) as session:
            service.place(session, SYSTEM, Placement(APP, DEVICE, "beta"), pins_allowed=False)

    async def look(directory: SqliteDirectory) -> tuple[bool, bool]:
        entry = await directory.app(APP)
        assert entry is not None
        state = await directory.device_state(APP, DEVICE)
        return entry.snapshot.has_device_state, state.override_channel_id is not None

    async def watch() -> list[tuple[bool, bool]]:
        directory = SqliteDirectory(sqlite_file(databases.urls.registry), 60)
        await directory.start()
        try:
            before = await look(directory)
            await asyncio.to_thread(place)
            return [before, await look(directory)]
        finally:
            await directory.stop()

    assert asyncio.run(watch()) == [(False, False), (True, True)]
