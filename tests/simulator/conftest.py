"""A fake server and devices that talk to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from capstan.simulator import (
    Endpoints,
    Identity,
    ManualClock,
    Platform,
    Setup,
    SimulatedDevice,
    Temper,
    healthy,
)
from tests.simulator.fake import ORIGIN, FakeServer

DEVICE_ID = "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10"
HEAD = "8.51.14"


def identity(platform: Platform = Platform.ANDROID, plugin_version: str = HEAD, **more: Any) -> Identity:
    return Identity("io.acme.notes", DEVICE_ID, platform, "2.0.0", plugin_version, **more)


class World:
    """One fake server, one clock, and as many devices as wanted, each opened again when made with the same name."""

    def __init__(self, folder: Path) -> None:
        self.server = FakeServer()
        self.clock = ManualClock()
        self.folder = folder

    def device(
        self,
        platform: Platform = Platform.ANDROID,
        plugin_version: str = HEAD,
        *,
        name: str = "one",
        builtin: Mapping[str, bytes] | None = None,
        public_key: str = "",
        temper: Temper = healthy,
        **more: Any,
    ) -> SimulatedDevice:
        setup = Setup(Endpoints.below(ORIGIN), builtin or {}, public_key, parallel=4, temper=temper)
        who = identity(platform, plugin_version, **more)
        return SimulatedDevice(who, setup, self.server.client(), self.folder / name, self.clock)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
