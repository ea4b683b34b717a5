"""One server for all tests that only talk to one, and a typist who knows its key."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import Typist, new_terminal, serve

_numbers = itertools.count(1)


@dataclass(frozen=True)
class RunningServer:
    url: str
    data_dir: Path
    setup: dict[str, Any]
    """What `capstan setup --json` printed while it ran."""

    @property
    def key(self) -> str:
        return str(self.setup["api_key"])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    operator = new_terminal(tmp_path_factory.mktemp("server"))
    with serve(operator) as (_process, url):
        setup = operator.succeed("setup", "--data-dir", "data", "--json").json
        yield RunningServer(url, operator.folder / "data", setup)


@pytest.fixture
def anybody(tmp_path: Path) -> Typist:
    """Somebody in an empty folder who knows no server."""
    return new_terminal(tmp_path)


@pytest.fixture
def typist(anybody: Typist, server: RunningServer) -> Typist:
    """Somebody with the server's address and key in the environment."""
    known = {"CAPSTAN_SERVER": server.url, "CAPSTAN_API_KEY": server.key}
    return Typist(anybody.folder, {**anybody.environment, **known})


@pytest.fixture
def app_id(typist: Typist) -> str:
    """An app of this test's own."""
    name = f"com.example.app{next(_numbers)}"
    typist.succeed("app", "add", name)
    return name
