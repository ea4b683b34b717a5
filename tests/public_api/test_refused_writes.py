"""A write that the database refuses has the endpoint's own code, and leaves nothing (contract: public 4.2).

No request can bring that about: rights, values and races are all met before. So a trigger does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, World

pytestmark = pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)

DEVICE = "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10"


@contextmanager
def refusing(world: World, event: str, table: str) -> Iterator[None]:
    def run(statement: str) -> None:
        engine = world.registry.engine
        with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
            connection.execute(text(statement))

    # A name of its own: a pooled connection would hold a trigger for existing that another one has dropped.
    name = f"refuse_{event}_of_{table}"
    run(f"create trigger {name} before {event} on {table} begin select raise(abort, 'secret details'); end")
    try:
        yield
    finally:
        run(f"drop trigger {name}")


def test_a_channel_that_cannot_be_stored(world: World) -> None:
    with refusing(world, "insert", "channels"):
        answer = world.owner.post("/channel", app_id=APP, channel="beta")
    assert refused(answer) == (400, "cannot_set_bundle_to_channel")
    assert "secret" not in answer.text
    assert accepted(world.owner.get("/channel", app_id=APP)) == []
    assert world.audit_of("channels") == []


def test_a_channel_that_cannot_be_deleted(world: World) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    with refusing(world, "delete", "channels"):
        answer = world.owner.delete("/channel", app_id=APP, channel="beta")
    assert refused(answer) == (400, "cannot_delete_channel")


def test_an_override_that_cannot_be_stored(world: World) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    with refusing(world, "insert", "channel_devices"):
        answer = world.owner.post("/device", app_id=APP, device_id=DEVICE, channel="beta")
    assert refused(answer) == (500, "channel_device_error")
    assert world.app()["channel_device_count"] == 0
