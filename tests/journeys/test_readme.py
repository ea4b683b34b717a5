"""What newcomers are told to type works: the commands are taken from the documents and typed in a terminal."""

from __future__ import annotations

import asyncio
import shlex
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from capstan.simulator import SimulatedDevice
from tests.journeys.documents import commands, filled
from tests.journeys.phones import files_on, phone
from tests.journeys.processes import Terminal, clean_environment, serving
from tests.journeys.web_build import files_below

APP = "com.example.notes"
EXAMPLE_SERVER = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class Newcomer:
    """Somebody with a terminal, an empty folder, a small app, and a server that was just started for the first time."""

    terminal: Terminal
    folder: Path
    url: str
    first_words: list[str]
    """What the server's first start printed, line by line."""

    @property
    def key(self) -> str:
        (line,) = (line for line in self.first_words if line.startswith("  API key "))
        return line.split()[-1]

    @property
    def build(self) -> Path:
        return self.folder / "build"

    def change_app(self, note: str) -> None:
        (self.build / "assets").mkdir(parents=True, exist_ok=True)
        (self.build / "index.html").write_text('<!doctype html><script src="assets/app.js"></script>')
        (self.build / "assets" / "app.js").write_text(f"CapacitorUpdater.notifyAppReady(); // {note}\n")

    def type(self, *typed: str) -> str:
        """Type commands of a document, with own values instead of its examples, and the key when it is asked for."""
        build = shlex.quote(str(self.build))
        blanks = {
            EXAMPLE_SERVER: self.url,
            "<the key>": self.key,
            "path/to/your/web/build": build,
            " dist ": f" {build} ",
        }
        return self.terminal.shell("\n".join(filled(command, blanks) for command in typed), keyboard=f"{self.key}\n")

    def phone_looks_for_updates(self, device_id: str) -> SimulatedDevice:
        """A phone with the app from the store, version 1.0.0, checks once and tells what came of it."""

        async def check() -> SimulatedDevice:
            async with httpx.AsyncClient() as client:
                device = phone(self.url, client, self.folder / device_id, app_id=APP, device_id=device_id)
                await device.cycle()
                await device.deliver()
                return device

        return asyncio.run(check())


@pytest.fixture
def newcomer(tmp_path: Path) -> Iterator[Newcomer]:
    terminal = Terminal(clean_environment(tmp_path))
    # What `make serve` does once it has made its virtual environment.
    with serving(terminal, tmp_path / "data") as server:
        somebody = Newcomer(terminal, tmp_path, server.url, server.lines_until("where DIR"))
        somebody.change_app("first")
        yield somebody


def test_the_five_minutes_of_the_readme_end_with_a_phone_on_the_new_version(newcomer: Newcomer) -> None:
    start, *rest = commands("README.md", after="## Five minutes", before="## Point the plugin at it")
    assert start == "make serve"
    assert "gets the bundle 1.0.1" in newcomer.type(*rest)
    device = newcomer.phone_looks_for_updates(str(uuid.uuid4()))
    assert device.running == "1.0.1"
    assert files_on(device) == files_below(newcomer.build)


def test_getting_started_takes_a_phone_to_the_second_version_and_back(newcomer: Newcomer) -> None:
    device_id = str(uuid.uuid4())
    start, *typed = commands("docs/getting-started.md")
    assert start == "make serve"
    login, add, publish, probe, publish_again, list_devices, roll_back, rollout = typed
    newcomer.type(login, add, publish)
    assert "gets the bundle 1.0.1" in newcomer.type(probe)
    assert newcomer.phone_looks_for_updates(device_id).running == "1.0.1"
    newcomer.change_app("second")
    newcomer.type(publish_again)
    device = newcomer.phone_looks_for_updates(device_id)
    assert device.running == "1.0.2"
    assert files_on(device) == files_below(newcomer.build)
    assert device_id in newcomer.type(list_devices)
    newcomer.type(roll_back)
    assert newcomer.phone_looks_for_updates(device_id).running == "1.0.1"
    assert rollout.startswith("curl ")


def test_what_the_first_start_says_to_type_next_publishes_an_app(newcomer: Newcomer) -> None:
    (newcomer.build / "package.json").write_text('{"version": "1.0.1"}')
    typed = [line for line in newcomer.first_words if line.startswith(("  export ", "  capstan "))]
    said = newcomer.terminal.shell(
        "\n".join(filled(line, {" DIR ": f" {shlex.quote(str(newcomer.build))} "}) for line in typed)
    )
    assert "Published 1.0.1 of com.example.app." in said


def test_a_script_sets_up_while_the_server_runs(newcomer: Newcomer) -> None:
    made = newcomer.terminal.capstan_json("setup", "--data-dir", newcomer.folder / "data")
    assert made.keys() >= {"organization_id", "user_id", "email", "password", "api_key"}
    script = newcomer.terminal.with_server(newcomer.url, made["api_key"])
    script.capstan("app", "add", APP)
    script.capstan("bundle", "upload", newcomer.build, "--app", APP, "--version", "1.0.1", "--channel", "production")
    assert script.capstan_json("probe", "--app", APP)["answer"]["version"] == "1.0.1"
