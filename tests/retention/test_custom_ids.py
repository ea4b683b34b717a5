"""Custom ids that were kept before the operator decided otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from capstan.files.incoming import Incoming
from capstan.files.objects import open_objects
from capstan.retention.jobs import Kept, upkeep_jobs
from capstan.retention.limits import limits_of
from capstan.retention.records import remove_custom_ids
from capstan.settings import load
from capstan.telemetry.tables import devices
from tests.devices.ids import numbered
from tests.jobs.runs import FreeRun
from tests.public_api.world import World


def custom_ids(world: World) -> dict[str, str]:
    with world.telemetry.connect() as connection:
        return {row.device_id: row.custom_id for row in connection.execute(select(devices))}


def test_they_are_removed_and_nothing_else_is(world: World) -> None:
    world.add_device(numbered(1), custom_id="ann")
    world.add_device(numbered(2), custom_id="")
    world.add_device(numbered(3), world.add_app("com.demo.other"), custom_id="bob")
    done = remove_custom_ids(world.telemetry, FreeRun())
    assert (done.detail, done.notable) == ({"custom_ids": 2}, True)
    assert custom_ids(world) == {numbered(number): "" for number in (1, 2, 3)}
    assert not remove_custom_ids(world.telemetry, FreeRun()).notable


@pytest.mark.parametrize("kept_ids", [True, False])
def test_a_server_does_that_only_where_it_keeps_none(world: World, tmp_path: Path, kept_ids: bool) -> None:
    limits = limits_of(load({"keep_custom_ids": str(kept_ids).lower()}, {}))
    incoming = Incoming(tmp_path / "incoming", 1000)
    kept = Kept(world.registry, world.telemetry, open_objects(tmp_path / "objects"), incoming, limits)
    assert ("custom_id_cleanup" in {job.name for job in upkeep_jobs(kept)}) is not kept_ids
