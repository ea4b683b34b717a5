"""The main job on real input: a published web build reaches devices, and so does its next release, by delta and by zip."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan.simulator import Applied, Cycle, Download, Endpoints, Identity, Platform, Setup, SimulatedDevice
from tests.journeys.processes import Terminal, clean_environment, serving
from tests.journeys.web_build import copy_build, copy_next_release, files_below

APP = "com.example.console"
FIRST, SECOND = "1.0.0", "1.0.1"
READS_MANIFESTS = "8.51.14"
KNOWS_ONLY_ZIPS = "6.2.0"
MOST_OF_ZIP = 0.05
"""What the delta of a change this small may cost, as a share of the zip."""


@dataclass(frozen=True)
class Publisher:
    """A terminal that talks to a running server and owns the app."""

    terminal: Terminal
    url: str

    def publish(self, version: str, build: Path) -> dict[str, Any]:
        """Publish a build on the production channel; what the server said about it."""
        release = ("--app", APP, "--version", version, "--channel", "production")
        answer: dict[str, Any] = self.terminal.capstan_json("bundle", "upload", build, *release)
        return answer


async def test_a_real_build_and_its_next_release_reach_devices_by_delta_and_by_zip(
    tmp_path: Path, record_property: Any
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    copy_build(first)
    copy_next_release(first, second)
    terminal = Terminal(clean_environment(tmp_path))
    with serving(terminal, tmp_path / "data") as server:
        publisher = Publisher(terminal, server.url)
