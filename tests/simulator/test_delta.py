"""Bundles that come file by file (contract: device 7.6)."""

from __future__ import annotations

import asyncio

import pytest

from capstan.simulator import Cycle, Fault, Platform, always
from tests.simulator.bundles import entry, offer_delta, offer_zip, sha256
from tests.simulator.conftest import World
from tests.simulator.fake import FILES

MAIN = b"run();" * 2000
STYLE = b"body{}"
HEAD = b"<h1>two</h1>"


def offer_three(world: World, version: str = "2.1.0") -> None:
    manifest = [
        entry(world.server, "index.html", HEAD),
        entry(world.server, "assets/main.js.br", MAIN),
        entry(world.server, "assets/style.css", STYLE),
    ]
    offer_delta(world.server, version, manifest)


def test_a_delta_is_put_together_from_files_and_reported(world: World) -> None:
    offer_three(world)

    async def story() -> None:
        device = world.device()
        cycle = await device.cycle()
        assert cycle.download is not None
        assert (cycle.download.way, cycle.download.ok, cycle.download.requests) == ("delta", True, 3)
        assert cycle.download.bytes == sum(len(content) for content in world.server.files.values())
        assert device.files() == ["assets/main.js", "assets/style.css", "index.html"]
        assert device.file("assets/main.js") == MAIN
        await device.deliver()

    asyncio.run(story())
    assert world.server.actions() == [
        ("download_manifest_start", "2.1.0"),
        ("download_manifest_complete", "2.1.0"),
        ("download_complete", "2.1.0"),
        ("set", "2.1.0"),
    ]


def test_files_of_the_native_bundle_and_of_earlier_bundles_are_reused(world: World) -> None:
    async def story() -> Cycle:
        device = world.device(builtin={"www/style.css": STYLE})
        offer_zip(world.server, "2.1.0", {"old/place.js": MAIN})
        await device.cycle()
        offer_three(world, "2.2.0")
        return await device.cycle()

    download = asyncio.run(story()).download
    assert download is not None
    assert (download.ok, download.reused, download.requests) == (True, 2, 1)
    assert world.server.fetched() == ["2.1.0.zip", f"delta/{sha256(HEAD)}"]


def test_files_that_came_before_a_failure_are_not_fetched_again(world: World) -> None:
    async def story() -> tuple[Cycle, Cycle]:
        device = world.device()
        offer_three(world)
        missing = f"{FILES}delta/{sha256(STYLE)}"
        kept = world.server.files.pop(missing)
        first = await device.cycle()
        world.server.files[missing] = kept
        world.server.seen.clear()
        offer_three(world)
        return first, await device.cycle()

    first, second = asyncio.run(story())
    assert first.download is not None
    assert first.download.failures == (("download_manifest_file_fail", "2.1.0:assets/style.css"),)
    assert second.applied.event == "set"
    assert world.server.fetched() == [f"delta/{sha256(STYLE)}"]


def test_a_file_wanted_twice_is_fetched_once(world: World) -> None:
    offer_delta(world.server, "2.1.0", [entry(world.server, name, MAIN) for name in ("a.js", "b.js", "c.js")])
    cycle = asyncio.run(world.device().cycle())
    assert cycle.download is not None
    assert (cycle.download.ok, cycle.download.requests, cycle.download.reused) == (True, 1, 2)


def test_an_empty_file_is_recognised_by_its_hash(world: World) -> None:
    offer_delta(world.server, "2.1.0", [entry(world.server, "empty.txt", b"")])

    async def story() -> None:
        device = world.device()
        await device.cycle()
        assert device.file("empty.txt") == b""

    asyncio.run(story())
    assert world.server.fetched() == []


@pytest.mark.parametrize(
    ("change", "failure"),
    [
        ({"file_hash": ""}, ("download_manifest_file_fail", "2.1.0:a.js")),
        ({"download_url": None}, ("download_manifest_file_fail", "2.1.0:a.js")),
        ({"file_name": ""}, ("download_manifest_file_fail", "2.1.0:#1")),
        ({"file_name": "../a.js"}, ("manifest_path_fail", "2.1.0:../a.js")),
        ({"file_name": "/a.js"}, ("manifest_path_fail", "2.1.0:/a.js")),
        ({"file_name": "a\0.js"}, ("manifest_path_fail", "2.1.0:a\0.js")),
        ({"file_name": "index.html"}, ("manifest_path_fail", "2.1.0:index.html")),
        ({"file_name": "x/../index.html"}, ("manifest_path_fail", "2.1.0:x/../index.html")),
        ({"file_name": "index.html.br"}, ("manifest_path_fail", "2.1.0:index.html.br")),
        ({"file_hash": sha256(b"other")}, ("download_manifest_checksum_fail", "2.1.0:a.js")),
        ({"file_name": "a.js.br"}, ("download_manifest_brotli_fail", "2.1.0:a.js.br")),
        ({"download_url": "http://updates.example/files/read/attachments/gone"}, None),
        ({"file_name": "index.html/a.js"}, ("download_manifest_file_fail", "2.1.0:index.html/a.js")),
    ],
)
def test_a_wrong_entry_fails_the_bundle_and_is_named(
    world: World, change: dict[str, str], failure: tuple[str, str] | None
) -> None:
    right = entry(world.server, "index.html", HEAD)
    offer_delta(world.server, "2.1.0", [right, {**entry(world.server, "a.js", STYLE), **change}])

    async def story() -> None:
        device = world.device()
        cycle = await device.cycle()
        assert cycle.download is not None
        assert cycle.download.failures == (failure or ("download_manifest_file_fail", "2.1.0:a.js"),)
        assert (device.running, device.bundles) == ("builtin", {})
        reported = [(event.body["action"], event.body["version_name"]) for event in device.pending_events]
        assert reported[-2:] == [*cycle.download.failures, ("download_fail", "2.1.0")]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("platform", "status", "ok"),
    [
        (Platform.ANDROID, 206, True),
        (Platform.ANDROID, 203, False),
        (Platform.IOS, 203, True),
        (Platform.IOS, 404, False),
    ],
)
def test_the_statuses_of_a_file(world: World, platform: Platform, status: int, ok: bool) -> None:
    offer_delta(world.server, "2.1.0", [entry(world.server, "a.js", STYLE)])
    world.server.statuses[f"{FILES}delta/{sha256(STYLE)}"] = status
    cycle = asyncio.run(world.device(platform).cycle())
    assert cycle.download is not None
    assert cycle.download.ok is ok


def test_android_takes_416_against_a_whole_file_for_done(world: World) -> None:
    path = f"{FILES}delta/{sha256(STYLE)}"

    async def story() -> Cycle:
        device = world.device()
        offer_delta(world.server, "2.1.0", [entry(world.server, "a.js", STYLE)])
        world.server.cut[path] = len(STYLE)
        await device.cycle()
        offer_delta(world.server, "2.1.0", [entry(world.server, "a.js", STYLE)])
        world.server.statuses[path] = 416
        return await device.cycle()

    assert asyncio.run(story()).applied.event == "set"


@pytest.mark.parametrize(
    ("plugin_version", "platform"), [("6.2.9", Platform.ANDROID), ("5.50.0", Platform.IOS), ("0.0.1", "electron")]
)
def test_a_client_without_manifests_takes_the_zip(world: World, plugin_version: str, platform: str) -> None:
    offer_three(world)
    cycle = asyncio.run(world.device(Platform(platform), plugin_version).cycle())
    assert cycle.download is not None
    assert (cycle.download.way, cycle.download.ok) == ("zip", False)


def test_a_release_without_brotli_keeps_the_suffix_and_fails_the_hash(world: World) -> None:
    offer_delta(world.server, "2.1.0", [entry(world.server, "main.js.br", MAIN)])
    cycle = asyncio.run(world.device(plugin_version="7.0.37").cycle())
    assert cycle.download is not None
    assert cycle.download.failures == (("download_manifest_checksum_fail", "2.1.0:main.js.br"),)


def test_a_device_that_damages_what_it_downloads_fails_every_file(world: World) -> None:
    offer_three(world)
    cycle = asyncio.run(world.device(temper=always(Fault.CORRUPT)).cycle())
    assert cycle.download is not None
    assert len(cycle.download.failures) == 3
