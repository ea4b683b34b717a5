"""The demo's devices: simulated ones that check every few seconds, and a board that shows what becomes of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from random import Random

import httpx
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from capstan.cli.demo_app import FIRST, NATIVE, SECOND, app_files
from capstan.cli.printing import size
from capstan.simulator import (
    Endpoints,
    Fault,
    Fleet,
    Outcome,
    Round,
    Setup,
    SimulatedDevice,
    make_identities,
    on_version,
)
from capstan.simulator.identity import BUILTIN

_SEED = 7
_LEAST_PAUSE, _LONGEST_PAUSE = 0.5, 3.0
_FAULTS: Mapping[int, Fault] = {3: Fault.CORRUPT, 11: Fault.FAILS_TO_BOOT, 17: Fault.CRASHES, 23: Fault.FAILS_TO_BOOT}
"""What goes wrong with the second version, by the number of the device."""
_COLOURS = {BUILTIN: "bright_black", FIRST: "cyan", SECOND: "green"}
_DOTS_A_LINE = 36


class DemoFleet:
    """Devices of one app against one server; `live` runs until it is cancelled."""

    def __init__(self, server: str, app_id: str, folder: Path, count: int, client: httpx.AsyncClient) -> None:
        setup = Setup(Endpoints.below(server), builtin=app_files(NATIVE))
        self._fleet = Fleet(make_identities(count, _SEED, app_id, natives=(NATIVE,)), setup, client, folder)
        self._random = Random(_SEED)
        self._total = Round()
        self.chapter = ""
        """What is happening, in a sentence."""
        for number, fault in _FAULTS.items():
            if number < count:
                self._fleet.devices[number].temper = on_version(SECOND, fault)

    async def live(self) -> None:
        async with asyncio.TaskGroup() as group:
            for device in self._fleet.devices:
                group.create_task(self._live(device))

    async def _live(self, device: SimulatedDevice) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(_LEAST_PAUSE, _LONGEST_PAUSE))
            cycle = await device.cycle()
            self._total.add(cycle, await device.deliver())

    def __rich__(self) -> RenderableType:
        """The board."""
        return Group(Text(self.chapter, "bold"), Text(), self._dots(), Text(), self._versions(), self._figures())

    def _dots(self) -> Text:
        text = Text()
        for number, device in enumerate(self._fleet.devices):
            if number and number % _DOTS_A_LINE == 0:
                text.append("\n")
            text.append("● ", _COLOURS.get(device.running, "white"))
        return text

    def _versions(self) -> Table:
        table = Table.grid(padding=(0, 2))
        running = self._fleet.versions
        for version in (BUILTIN, FIRST, SECOND):
            name = f"native {NATIVE}" if version == BUILTIN else version
            table.add_row(Text("●", _COLOURS[version]), name, f"{running[version]} devices")
        return table

    def _figures(self) -> Table:
        total = self._total
        table = Table(title="Since the beginning", title_justify="left", show_header=False, box=None)
        rows = {
            "update checks": sum(total.outcomes.values()),
            "already up to date": total.outcomes[Outcome.UP_TO_DATE],
            "updates as single files": total.deltas,
            "updates as a whole zip": total.zips,
            "downloaded": size(total.bytes),
            "downloads that failed": total.failed_downloads,
            "installed": total.applied["set"],
            "installed, then taken back": total.applied["update_fail"] + total.applied["set_fail"],
            "events reported": total.events.sent,
        }
        for name, value in rows.items():
            table.add_row(name, str(value))
        return table
