"""An installation with a server in a process of its own, and what devices and a publisher do to it at the same time."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from sqlalchemy import Engine

from capstan.db.engine import open_engine
from capstan.db.session import Registry
from capstan.simulator import LightFleet
from tests.databases import DatabaseUrls
from tests.device_world import seed
from tests.faults.publisher import publishing_key
from tests.journeys.processes import Terminal, clean_environment, log_of, serving
from tests.load.fleet import Load, Outcome, Plan
from tests.load.releases import OFFERED, Releases
from tests.updates.acme import NOTES, world

FLEET = LightFleet(NOTES, running=OFFERED, natives=("2.0.0",))


@dataclass(frozen=True)
class Installation:
    """Its server does not run yet."""

    terminal: Terminal
    data_dir: Path
    registry: Registry
    telemetry: Engine
    api_key: str

    def bear(self, plan: Plan, *, killed_after: float | None = None) -> tuple[Outcome, Releases]:
        """Run a server under load, kill it after so many seconds and start another; in the end it is stopped."""
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(self._bear(plan, killed_after))

    async def _bear(self, plan: Plan, killed_after: float | None) -> tuple[Outcome, Releases]:
        with ExitStack() as servers:
            server = servers.enter_context(serving(self.terminal, self.data_dir))
            load, releases = Load(plan, FLEET, _port(server.url)), Releases(server.url, self.api_key)
            done = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                releasing = group.create_task(releases.run(done))
                loading = group.create_task(load.run())
                if killed_after is not None:
                    await asyncio.sleep(killed_after)
                    load.may_cut_off = releases.may_cut_off = True
                    os.kill(server.pid, signal.SIGKILL)
                    await asyncio.to_thread(server.wait_until_dead)
                    server = await asyncio.to_thread(servers.enter_context, serving(self.terminal, self.data_dir))
                    load.port, releases.url = _port(server.url), server.url
                    load.may_cut_off = releases.may_cut_off = False
                await loading
                done.set()
                await releasing
            assert server.stop() == 0
        assert "Traceback" not in log_of(self.data_dir).read_text()
        return load.outcome, releases


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


@contextmanager
def installation(urls: DatabaseUrls, folder: Path) -> Iterator[Installation]:
    """A new one, with the small world in it."""
    settings = {f"CAPSTAN_{name.upper()}": value for name, value in urls.flags.items()}
    terminal = Terminal(clean_environment(folder, settings))
    terminal.capstan("setup", "--data-dir", folder / "data")
    registry, telemetry = open_engine(urls.registry), open_engine(urls.telemetry)
    try:
        seed(registry, world())
        key = publishing_key(Registry(registry))
        yield Installation(terminal, folder / "data", Registry(registry), telemetry, key)
    finally:
        registry.dispose()
        telemetry.dispose()
