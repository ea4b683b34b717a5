"""Many devices that differ as real ones do, the same ones for the same seed, and what a round of checks came to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TypeVar
from uuid import UUID

import httpx

from capstan.simulator.answers import Outcome
from capstan.simulator.clock import Clock
from capstan.simulator.device import Cycle, Setup, SimulatedDevice
from capstan.simulator.identity import ELECTRON_PLUGIN_VERSION, Identity, Platform
from capstan.simulator.outbox import Flushed
from capstan.simulator.releases import Release

PLATFORMS = {Platform.ANDROID: 55, Platform.IOS: 40, Platform.ELECTRON: 5}
"""Weights of the mix."""
PLUGIN_VERSIONS = {"8.51.14": 40, "8.47.9": 20, "8.40.8": 10, "7.50.2": 12, "7.34.3": 8, "6.50.2": 6, "6.25.8": 4}
SYSTEMS = {
    Platform.ANDROID: ("12", "13", "14", "15"),
    Platform.IOS: ("16.7", "17.6", "18.5"),
    Platform.ELECTRON: ("10.0.22631", "14.5"),
}
STORES = {
    Platform.ANDROID: ("google_play", "amazon_appstore", "samsung_galaxy_store", ""),
    Platform.IOS: ("app_store", "testflight", ""),
    Platform.ELECTRON: ("",),
}
LOWER_CASE_SINCE = (7, 0, 0)
"""Old releases on iOS write the device id in capitals (contract: device 7.1, which does not say until when)."""
DEBUG_SHARE = 0.06
EMULATOR_SHARE = 0.03

Drawn = TypeVar("Drawn")


def make_identities(
    count: int,
    seed: int,
    app_id: str,
    *,
    natives: Sequence[str] = ("1.0.0",),
    default_channels: Sequence[str] = ("",),
    plugin_versions: Sequence[str] = (),
    platforms: Sequence[Platform] = (),
) -> list[Identity]:
    """`count` devices of one app, drawn from the built-in mixes or evenly from the sequences given."""
    random = Random(seed)
    return [
        _identity(
            random,
            app_id,
            platform=random.choice(platforms) if platforms else _weighted(random, PLATFORMS),
            plugin_version=random.choice(plugin_versions) if plugin_versions else _weighted(random, PLUGIN_VERSIONS),
            native=random.choice(natives),
            channel=random.choice(default_channels),
        )
        for _ in range(count)
    ]


def _identity(
    random: Random, app_id: str, *, platform: Platform, plugin_version: str, native: str, channel: str
) -> Identity:
    device_id = str(UUID(int=random.getrandbits(128), version=4))
    shouts = platform is Platform.IOS and Release.parse(plugin_version).number < LOWER_CASE_SINCE
    return Identity(
        app_id=app_id,
        device_id=device_id.upper() if shouts else device_id,
        platform=platform,
        version_build=native,
        plugin_version=ELECTRON_PLUGIN_VERSION if platform is Platform.ELECTRON else plugin_version,
        version_os=random.choice(SYSTEMS[platform]),
        version_code=native.replace(".", ""),
        is_prod=random.random() >= DEBUG_SHARE,
        is_emulator=random.random() < EMULATOR_SHARE,
        default_channel=channel,
        install_source=random.choice(STORES[platform]),
    )


def _weighted(random: Random, weights: Mapping[Drawn, int]) -> Drawn:
    return random.choices(list(weights), list(weights.values()))[0]


@dataclass(slots=True)
class Round:
    """What one round of the fleet came to. Bytes and requests are those of downloads."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    """The reason of each answer that had one: the server's error code or the device's own."""
    applied: Counter[str] = field(default_factory=Counter)
    """set, set_fail, update_fail."""
    deltas: int = 0
    zips: int = 0
    failed_downloads: int = 0
    requests: int = 0
    bytes: int = 0
    events: Flushed = field(default_factory=Flushed)

    def add(self, cycle: Cycle, delivered: Flushed) -> None:
        self.outcomes[cycle.answer.outcome] += 1
        if cycle.answer.reason:
            self.reasons[cycle.answer.reason] += 1
        if cycle.applied.event:
            self.applied[cycle.applied.event] += 1
        if cycle.download:
            self.deltas += cycle.download.way == "delta"
            self.zips += cycle.download.way == "zip"
            self.failed_downloads += not cycle.download.ok
            self.requests += cycle.download.requests
            self.bytes += cycle.download.bytes
        self.events = Flushed(
            self.events.sent + delivered.sent,
            self.events.kept + delivered.kept,
            self.events.dropped + delivered.dropped,
        )


class Fleet:
    """Devices that share a client. Each has a folder of its own, named by its device id, below the one given."""

    def __init__(
        self,
        identities: Sequence[Identity],
        setup: Setup,
        client: httpx.AsyncClient,
        folder: Path,
        clock: Clock | None = None,
    ) -> None:
        self.devices = [
            SimulatedDevice(identity, setup, client, folder / identity.device_id.lower(), clock)
            for identity in identities
        ]

    @property
    def versions(self) -> Counter[str]:
        """How many devices run which version, `builtin` among them."""
        return Counter(device.running for device in self.devices)

    async def run_cycle(self, at_once: int = 16) -> Round:
        """Every device checks, follows the answer and sends its events, `at_once` devices at a time."""
        result = Round()
        slots = asyncio.Semaphore(at_once)

        async def take_part(device: SimulatedDevice) -> None:
            async with slots:
                cycle = await device.cycle()
                result.add(cycle, await device.deliver())

        async with asyncio.TaskGroup() as group:
            for device in self.devices:
                group.create_task(take_part(device))
        return result
