"""A server that is killed in the middle of everything, again and again: what it answered is there, and nothing is half.

20 kills on SQLite and a few on PostgreSQL with the suite; `make test-long` does a thousand.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest

from capstan.db.engine import open_engine
from tests.databases import KINDS, DatabaseUrls, postgresql_databases, sqlite_databases
from tests.journeys.inspection import Stored, inspect
from tests.journeys.ledger import Ledger
from tests.journeys.processes import ServerProcess, Terminal, clean_environment, log_of, serving
from tests.journeys.traffic import APP, Kind, Moment, Traffic, upload

KILLS = {"sqlite": 20, "postgresql": 5}
KILLS_OF_LONG_TEST = 100
LASTING = ("1.0.1", "1.0.2")
REQUEST_SECONDS = 60


@pytest.fixture(params=KINDS)
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DatabaseUrls]:
    """Two empty databases for one test."""
    if request.param == "sqlite":
        yield sqlite_databases(tmp_path)
        return
    with postgresql_databases(request.getfixturevalue("postgresql")) as urls:
        yield urls


@dataclass
class Victim:
    """An installation whose server gets killed, and what is known of it."""

    folder: Path
    terminal: Terminal
    api_key: str
    stored: Stored
    ledger: Ledger
    cut_off: Counter[Kind] = field(default_factory=Counter)
    """Requests that kills left without an answer."""
    children: list[psutil.Process] = field(default_factory=list)
    """What killed servers left running."""

    @contextmanager
    def serving(self) -> Iterator[ServerProcess]:
        with serving(self.terminal, self.folder / "data") as server:
            yield server

    def client(self, server: ServerProcess) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=server.url, headers={"capgkey": self.api_key}, timeout=REQUEST_SECONDS)

    def kill(self, moment: Moment, chance: random.Random) -> None:
        """Start the server, inspect what the last kill left, and kill it again."""

        async def live(server: ServerProcess) -> Traffic:
            async with self.client(server) as client:
                await inspect(client, self.ledger, self.stored)
                traffic = Traffic(client, server.pid, self.ledger, chance, moment)
                await traffic.until_killed()
                return traffic

        with self.serving() as server:
            traffic = asyncio.run(live(server))
            server.wait_until_dead()
        self.cut_off += traffic.cut_off
        self.children += traffic.children

    def look_back(self) -> None:
        """After the last kill: everything is there, every bundle is whole, no child is left, no server had a fault."""

        async def look(server: ServerProcess) -> None:
            async with self.client(server) as client:
                await inspect(client, self.ledger, self.stored, every_bundle=True)

        with self.serving() as server:
            asyncio.run(look(server))
            assert server.stop() == 0
        _, left = psutil.wait_procs(self.children, timeout=REQUEST_SECONDS)
        assert not left
        assert "Traceback" not in log_of(self.folder / "data").read_text()


@pytest.fixture
def victim(databases: DatabaseUrls, tmp_path: Path) -> Iterator[Victim]:
    settings = {f"CAPSTAN_{name.upper()}": value for name, value in databases.flags.items()}
    terminal = Terminal(clean_environment(tmp_path, settings))
    owner = terminal.capstan_json("setup", "--data-dir", tmp_path / "data")
    with ExitStack() as stack:
        registry, telemetry = open_engine(databases.registry), open_engine(databases.telemetry)
        stack.callback(registry.dispose)
        stack.callback(telemetry.dispose)
        stored = Stored(registry, telemetry, tmp_path / "data" / "objects")
        one = Victim(tmp_path, terminal, owner["api_key"], stored, Ledger(frozenset(LASTING), LASTING[-1]))
        asyncio.run(_publish_lasting(one))
        yield one


async def _publish_lasting(victim: Victim) -> None:
    with victim.serving() as server:
        victim.terminal.with_server(server.url, victim.api_key).capstan("app", "add", APP)
        async with victim.client(server) as client:
            victim.ledger.ever_offered.update(LASTING)
            for version in LASTING:
                answer = await client.request(**upload(version, on_channel=True))
                assert answer.status_code == 200, answer.text
        assert server.stop() == 0


def test_what_a_killed_server_answered_is_there_and_nothing_is_half(
    victim: Victim, databases: DatabaseUrls, request: pytest.FixtureRequest
) -> None:
    kills = KILLS[databases.kind]
    kill_again_and_again(victim, kills, random.Random(1))
    request.node.add_report_section("call", "kills", f"{kills} kills cut off {dict(victim.cut_off)}")


@pytest.mark.long
@pytest.mark.parametrize("seed", range(2, 7))
def test_a_hundred_kills_more(victim: Victim, seed: int, request: pytest.FixtureRequest) -> None:
    kill_again_and_again(victim, KILLS_OF_LONG_TEST, random.Random(seed))
    request.node.add_report_section("call", "kills", f"{KILLS_OF_LONG_TEST} kills cut off {dict(victim.cut_off)}")


def kill_again_and_again(victim: Victim, times: int, chance: random.Random) -> None:
    for _ in range(times):
        victim.kill(Moment.draw(chance), chance)
    victim.look_back()
    assert {"upload", "event"} <= victim.cut_off.keys()
