"""Bundles that come as a zip (contract: device 7.6)."""

from __future__ import annotations

import asyncio
import io
import zipfile
import zlib

import pytest

from capstan.simulator import Download, Fault, Offer, Platform, SimulatedDevice, always
from tests.simulator.bundles import offer_zip, sha256, zipped
from tests.simulator.conftest import World
from tests.simulator.fake import FILES

FILES_OF_ONE = {"index.html": b"<h1>one</h1>", "assets/": b"", "assets/main.js": b"run()" * 900}
ARCHIVE = zipped(FILES_OF_ONE)


async def fetched(device: SimulatedDevice, url: str, checksum: str) -> Download:
    return await device.download(Offer("2.1.0", url, checksum))


def actions(device: SimulatedDevice) -> list[tuple[str, str]]:
    return [(event.body["action"], event.body["version_name"]) for event in device.pending_events]


def test_a_zip_is_downloaded_checked_unpacked_applied_and_reported(world: World) -> None:
    archive = offer_zip(world.server, "2.1.0", FILES_OF_ONE)

    async def story() -> None:
        device = world.device()
        cycle = await device.cycle()
        assert cycle.download == Download("2.1.0", "zip", requests=1, bytes=len(archive))
        assert cycle.applied.event == "set"
        assert device.running == "2.1.0"
        assert device.files() == ["assets/main.js", "index.html"]
        assert device.file("index.html") == b"<h1>one</h1>"
        assert (device.traffic.downloads, device.traffic.downloaded_bytes) == (1, len(archive))
        await device.deliver()

    asyncio.run(story())
    assert world.server.actions() == [
        ("download_zip_start", "2.1.0"),
        ("download_0", "2.1.0"),
        ("download_zip_complete", "2.1.0"),
        ("download_complete", "2.1.0"),
        ("set", "2.1.0"),
    ]


def test_progress_is_told_in_tens(world: World) -> None:
    async def story() -> None:
        device = world.device()
        url = world.server.put("b.zip", zipped(FILES_OF_ONE))
        world.server.cut[FILES + "b.zip"] = 47 * len(world.server.files[FILES + "b.zip"]) // 100
        await fetched(device, url, "")
        assert [action for action, _ in actions(device)] == [
            "download_zip_start",
            "download_0",
            "download_40",
            "download_fail",
        ]

    asyncio.run(story())


@pytest.mark.parametrize(
    ("checksum", "failure"),
    [
        (sha256(ARCHIVE), []),
        ("", []),
        (f"{zlib.crc32(ARCHIVE):08x}", []),
        (sha256(ARCHIVE).upper(), ["checksum_fail"]),
        ("deadbeef", ["checksum_fail"]),
        (sha256(b"other"), ["checksum_fail"]),
    ],
)
def test_a_checksum_must_be_equal_to_the_letter(world: World, checksum: str, failure: list[str]) -> None:
    device = world.device()
    download = asyncio.run(fetched(device, world.server.put("b.zip", ARCHIVE), checksum))
    assert [action for action, _ in download.failures] == failure
    assert [action for action, _ in actions(device) if action.endswith("_fail")] == (
        [*failure, "download_fail"] if failure else []
    )


@pytest.mark.parametrize("platform", [Platform.ANDROID, Platform.IOS])
def test_a_cut_off_zip_is_resumed(world: World, platform: Platform) -> None:
    archive = zipped(FILES_OF_ONE)
    url = world.server.put("b.zip", archive)
    world.server.cut[FILES + "b.zip"] = 100

    async def story() -> tuple[Download, Download]:
        device = world.device(platform)
        return await fetched(device, url, sha256(archive)), await fetched(device, url, sha256(archive))

    first, second = asyncio.run(story())
    assert (first.ok, first.bytes) == (False, 100)
    assert (second.ok, second.bytes) == (True, len(archive) - 100)
    assert world.server.seen[-1].headers["range"] == "bytes=100-"


def test_a_zip_that_is_whole_already_needs_no_byte(world: World) -> None:
    archive = zipped(FILES_OF_ONE)
    url = world.server.put("b.zip", archive)
    world.server.cut[FILES + "b.zip"] = len(archive)

    async def story() -> Download:
        device = world.device()
        await fetched(device, url, sha256(archive))
        return await fetched(device, url, sha256(archive))

    download = asyncio.run(story())
    assert (download.ok, download.requests, download.bytes) == (True, 1, 0)


def test_a_range_that_does_not_fit_the_zip_makes_the_next_attempt_begin_anew(world: World) -> None:
    archive = zipped(FILES_OF_ONE)
    url = world.server.put("b.zip", archive)
    world.server.cut[FILES + "b.zip"] = 100

    async def story() -> list[bool]:
        device = world.device()
        outcomes = [(await fetched(device, url, "")).ok]
        world.server.statuses[FILES + "b.zip"] = 416
        outcomes.append((await fetched(device, url, "")).ok)
        world.server.statuses.clear()
        outcomes.append((await fetched(device, url, "")).ok)
        return outcomes

    assert asyncio.run(story()) == [False, False, True]
    assert "range" not in world.server.seen[-1].headers


def test_electron_begins_anew_and_takes_no_manifest(world: World) -> None:
    archive = zipped(FILES_OF_ONE)
    url = world.server.put("b.zip", archive)
    world.server.cut[FILES + "b.zip"] = 100

    async def story() -> Download:
        device = world.device(Platform.ELECTRON, "0.0.1")
        await fetched(device, url, "")
        return await fetched(device, url, "")

    download = asyncio.run(story())
    assert (download.way, download.ok, download.bytes) == ("zip", True, len(archive))


@pytest.mark.parametrize("status", [404, 503, 206])
def test_another_status_is_a_failed_download(world: World, status: int) -> None:
    url = world.server.put("b.zip", zipped(FILES_OF_ONE))
    world.server.statuses[FILES + "b.zip"] = status
    device = world.device()
    download = asyncio.run(fetched(device, url, ""))
    assert download.failures == (("download_fail", "2.1.0"),)
    assert actions(device)[-1] == ("download_fail", "2.1.0")
    assert device.bundles == {}


def test_ios_takes_206_for_a_whole_zip(world: World) -> None:
    url = world.server.put("b.zip", zipped(FILES_OF_ONE))
    world.server.statuses[FILES + "b.zip"] = 206
    assert asyncio.run(fetched(world.device(Platform.IOS), url, "")).ok


def test_a_content_encoding_on_a_bundle_is_not_undone(world: World) -> None:
    archive = zipped(FILES_OF_ONE)
    encoded = zlib.compress(archive)
    world.server.plan(FILES + "b.zip", encoded, headers={"content-encoding": "deflate"})
    download = asyncio.run(fetched(world.device(), f"http://updates.example{FILES}b.zip", sha256(archive)))
    assert (download.failures, download.bytes) == ((("checksum_fail", "2.1.0"),), len(encoded))


@pytest.mark.parametrize(
    ("files", "action"),
    [
        ({"../index.html": b"x"}, "canonical_path_fail"),
        ({"/etc/index.html": b"x"}, "canonical_path_fail"),
        ({"a/../../b": b"x"}, "canonical_path_fail"),
        ({"assets\\main.js": b"x"}, "windows_path_fail"),
        ({"a": b"x", "a/b": b"x"}, "directory_path_fail"),
        ({"a/b": b"x", "a": b"x"}, "unzip_fail"),
    ],
)
def test_an_archive_with_an_unsafe_entry_is_refused(world: World, files: dict[str, bytes], action: str) -> None:
    url = world.server.put("b.zip", zipped(files))
    assert asyncio.run(fetched(world.device(), url, "")).failures == ((action, "2.1.0"),)
    assert not list(world.folder.glob("**/etc"))


def test_what_is_no_zip_is_refused(world: World) -> None:
    url = world.server.put("b.zip", b"not a zip")
    assert asyncio.run(fetched(world.device(), url, "")).failures == (("unzip_fail", "2.1.0"),)


def test_a_damaged_entry_is_refused(world: World) -> None:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("index.html", b"stored as it is")
    url = world.server.put("b.zip", target.getvalue().replace(b"stored as", b"stored is"))
    assert asyncio.run(fetched(world.device(), url, "")).failures == (("unzip_fail", "2.1.0"),)


def test_a_device_that_damages_what_it_downloads_reports_the_checksum(world: World) -> None:
    archive = zipped(FILES_OF_ONE)
    url = world.server.put("b.zip", archive)
    device = world.device(temper=always(Fault.CORRUPT))
    assert asyncio.run(fetched(device, url, sha256(archive))).failures == (("checksum_fail", "2.1.0"),)


def test_a_redirect_is_followed(world: World) -> None:
    archive = zipped(FILES_OF_ONE)
    url = world.server.put("b.zip", archive)
    world.server.plan("/moved.zip", b"", 302, {"location": url})
    assert asyncio.run(fetched(world.device(), "http://updates.example/moved.zip", sha256(archive))).ok
