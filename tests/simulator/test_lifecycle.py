"""Bundles from download to running, and what goes wrong on purpose."""

from __future__ import annotations

import asyncio

import pytest

from capstan.simulator import (
    Applied,
    BundleState,
    Endpoints,
    Fault,
    Outcome,
    Platform,
    Setup,
    SimulatedDevice,
    always,
    healthy,
    on_version,
)
from tests.simulator.bundles import offer_zip, update
from tests.simulator.conftest import World, identity
from tests.simulator.fake import ORIGIN

INDEX = {"index.html": b"x"}


def told(device: SimulatedDevice) -> list[tuple[str, str, str]]:
    """Action, version and old version of the queued events that are not about downloads."""
    bodies = [event.body for event in device.pending_events]
    return [
        (body["action"], body["version_name"], body["old_version_name"])
        for body in bodies
        if not body["action"].startswith("download_")
    ]


def test_each_new_bundle_replaces_the_one_before(world: World) -> None:
    async def story() -> None:
        device = world.device()
        for version in ("2.1.0", "2.2.0"):
            offer_zip(world.server, version, INDEX)
            await device.cycle()
        assert told(device) == [("set", "2.1.0", ""), ("set", "2.2.0", "2.1.0")]
        assert device.bundles == {"2.1.0": BundleState.OK, "2.2.0": BundleState.OK}
        await device.check()

    asyncio.run(story())
    assert world.server.requests("/updates")[-1].json["version_name"] == "2.2.0"


def test_a_download_is_only_scheduled_until_it_is_applied(world: World) -> None:
    async def story() -> None:
        device = world.device()
        offer_zip(world.server, "2.1.0", INDEX)
        answer = await device.check()
        assert answer.offer is not None
        await device.download(answer.offer)
        assert (device.running, device.bundles) == ("builtin", {"2.1.0": BundleState.PENDING})
        assert world.device().apply() == Applied("2.1.0", "set")

    asyncio.run(story())


def test_a_bundle_that_does_not_boot_is_rolled_back_and_refused_from_then_on(world: World) -> None:
    async def story() -> None:
        device = world.device(temper=on_version("2.2.0", Fault.FAILS_TO_BOOT))
        for version in ("2.1.0", "2.2.0"):
            offer_zip(world.server, version, INDEX)
            await device.cycle()
        assert device.running == "2.1.0"
        assert told(device) == [("set", "2.1.0", ""), ("update_fail", "2.2.0", "2.1.0")]
        assert device.bundles["2.2.0"] is BundleState.ERROR
        offer_zip(world.server, "2.2.0", INDEX)
        assert (await device.cycle()).answer.outcome is Outcome.BROKEN_ON_DEVICE

    asyncio.run(story())
    assert world.server.fetched() == ["2.1.0.zip", "2.2.0.zip"]


@pytest.mark.parametrize(
    ("fault", "running", "events"),
    [
        (Fault.FAILS_TO_SET, "builtin", [("set_fail", "2.1.0", "")]),
        (Fault.FAILS_TO_BOOT, "builtin", [("update_fail", "2.1.0", "")]),
        (Fault.CRASHES, "2.1.0", [("set", "2.1.0", ""), ("app_crash", "2.1.0", "")]),
        (Fault.CORRUPT, "builtin", [("checksum_fail", "2.1.0", "")]),
    ],
)
def test_a_fault_shows_in_the_events(
    world: World, fault: Fault, running: str, events: list[tuple[str, str, str]]
) -> None:
    device = world.device(temper=always(fault))
    offer_zip(world.server, "2.1.0", INDEX)
    asyncio.run(device.cycle())
    assert (device.running, told(device)) == (running, events)


def test_a_temper_can_change_while_the_device_lives(world: World) -> None:
    async def story() -> None:
        device = world.device()
        device.temper = always(Fault.CORRUPT)
        offer_zip(world.server, "2.1.0", INDEX)
        await device.cycle()
        device.temper = healthy
        offer_zip(world.server, "2.1.0", INDEX)
        assert (await device.cycle()).applied.event == "set"

    asyncio.run(story())


@pytest.mark.parametrize("platform", [Platform.ANDROID, Platform.IOS])
def test_a_revert_goes_back_to_the_native_bundle(world: World, platform: Platform) -> None:
    async def story() -> None:
        device = world.device(platform, builtin={"index.html": b"native"})
        offer_zip(world.server, "2.1.0", INDEX)
        await device.cycle()
        world.server.plan("/updates", {"version": "builtin"})
        assert (await device.cycle()).answer.outcome is Outcome.REVERT
        assert (device.running, device.file("index.html")) == ("builtin", b"native")
        assert told(device)[-1] == ("reset", device.version_name, "2.1.0")

    asyncio.run(story())


def test_a_deleted_bundle_is_downloaded_again(world: World) -> None:
    async def story() -> None:
        device = world.device()
        offer_zip(world.server, "2.1.0", INDEX)
        await device.cycle()
        device.reset()
        device.delete("2.1.0")
        assert device.bundles == {}
        assert told(device)[-1][:2] == ("delete", "2.1.0")
        offer_zip(world.server, "2.1.0", INDEX)
        cycle = await device.cycle()
        assert cycle.download is not None

    asyncio.run(story())


def test_the_running_bundle_cannot_be_deleted(world: World) -> None:
    async def story() -> None:
        device = world.device()
        offer_zip(world.server, "2.1.0", INDEX)
        await device.cycle()
        for version in ("2.1.0", "9.9.9", "builtin"):
            with pytest.raises(ValueError, match="runs or is not installed"):
                device.delete(version)

    asyncio.run(story())


def test_a_version_may_be_any_text(world: World) -> None:
    async def story() -> None:
        device = world.device()
        world.server.plan("/updates", update("../../näh/" + "9" * 300, "http://updates.example/b.zip", None))
        assert (await device.cycle()).download is not None
        url = world.server.put("c.zip", b"")
        world.server.plan("/updates", update("\n", url, None))
        assert (await device.cycle()).download is not None

    asyncio.run(story())
    assert sorted(path.name for path in world.folder.iterdir()) == ["one"]


def test_without_a_stats_address_nothing_is_reported(world: World) -> None:
    endpoints = Endpoints(f"{ORIGIN}/updates", "", f"{ORIGIN}/channel_self")
    device = SimulatedDevice(identity(), Setup(endpoints), world.server.client(), world.folder, world.clock)
    device.report("ping")
    assert device.pending_events == ()


def test_a_native_file_outside_the_bundle_is_refused(world: World) -> None:
    with pytest.raises(ValueError, match="leaves the bundle"):
        world.device(builtin={"../x": b""})
