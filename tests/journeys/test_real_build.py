"""The main job on real input: a published web build reaches phones, and its next release does, by delta and by zip."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan.simulator import Cycle, SimulatedDevice
from tests.journeys.phones import KNOWS_ONLY_ZIPS, READS_MANIFESTS, files_on, phone
from tests.journeys.processes import Terminal, clean_environment, serving
from tests.journeys.web_build import copy_build, copy_next_release, files_below

APP = "com.example.console"
MOST_OF_ZIP = 0.05
"""What the delta of a change this small may cost, as a share of the zip."""


@dataclass(frozen=True)
class Release:
    version: str
    folder: Path

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())


@dataclass(frozen=True)
class Publisher:
    """Somebody who has the app, a server and a terminal."""

    terminal: Terminal
    url: str
    said: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What the server answered to each upload, by version."""

    def publish(self, release: Release) -> None:
        options = ("--app", APP, "--version", release.version, "--channel", "production")
        self.said[release.version] = self.terminal.capstan_json("bundle", "upload", release.folder, *options)


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    terminal = Terminal(clean_environment(tmp_path))
    with serving(terminal, tmp_path / "data") as server:
        owner = terminal.capstan_json("setup", "--data-dir", tmp_path / "data")
        signed_in = terminal.with_server(server.url, owner["api_key"])
        signed_in.capstan("app", "add", APP)
        yield Publisher(signed_in, server.url)


@pytest.fixture
def first(tmp_path: Path) -> Release:
    copy_build(tmp_path / "first")
    return Release("1.0.1", tmp_path / "first")


@pytest.fixture
def second(tmp_path: Path, first: Release) -> Release:
    copy_next_release(first.folder, tmp_path / "second")
    return Release("1.0.2", tmp_path / "second")


@dataclass(frozen=True)
class Phones:
    """Three phones: each needs the second release in another way."""

    by_delta: SimulatedDevice
    by_zip: SimulatedDevice
    from_store: SimulatedDevice
    """Its app came from the store with the first release inside, and it never updated."""


def test_a_real_build_and_its_next_release_reach_phones_by_delta_and_by_zip(
    publisher: Publisher, first: Release, second: Release, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    assert len(files_below(first.folder)) >= 500
    assert first.size >= 10_000_000

    async def journey() -> dict[str, Cycle]:
        async with httpx.AsyncClient() as client:
            phones = _unpack_phones(publisher.url, client, first, tmp_path)
            publisher.publish(first)
            for device in (phones.by_delta, phones.by_zip):
                await _update(device, first)
            publisher.publish(second)
            return {
                "delta": await _update(phones.by_delta, second),
                "zip": await _update(phones.by_zip, second),
                "delta from the store": await _update(phones.from_store, second),
            }

    cycles = asyncio.run(journey())
    fetched = {way: _bytes(cycle) for way, cycle in cycles.items()}
    told = f"{len(files_below(second.folder))} files, {second.size} bytes unpacked; bytes fetched: {fetched}"
    request.node.add_report_section("call", "the second release", told)
    changed = publisher.said[second.version]["changed"]
    assert fetched["delta"] == fetched["delta from the store"] == changed["download_bytes"]
    assert fetched["zip"] == changed["zip_bytes"]
    assert fetched["delta"] < MOST_OF_ZIP * fetched["zip"]


def _unpack_phones(url: str, client: httpx.AsyncClient, first: Release, folder: Path) -> Phones:
    inside = {path: (first.folder / path).read_bytes() for path in files_below(first.folder)}
    return Phones(
        by_delta=phone(url, client, folder / "delta", app_id=APP, plugin_version=READS_MANIFESTS),
        by_zip=phone(url, client, folder / "zip", app_id=APP, plugin_version=KNOWS_ONLY_ZIPS),
        from_store=phone(url, client, folder / "store", app_id=APP, native=first.version, builtin=inside),
    )


async def _update(device: SimulatedDevice, release: Release) -> Cycle:
    """Have a phone look for the release and install it; it then runs exactly those files."""
    cycle = await device.cycle()
    assert device.running == release.version, cycle
    assert files_on(device) == files_below(release.folder)
    assert cycle.download is not None
    assert cycle.download.way == ("delta" if device.identity.release.reads_manifests else "zip")
    return cycle


def _bytes(cycle: Cycle) -> int:
    assert cycle.download is not None
    return cycle.download.bytes
