"""A disk that takes no more: a limit on the size of every file of a running server, put on it and lifted again."""

from __future__ import annotations

import json
import random
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan.db.engine import open_engine, sqlite_url
from capstan.db.session import Registry
from tests.device_world import seed
from tests.faults.devices import STAMP, Devices, check_honest, is_tired, is_well
from tests.faults.logbook import check_said_once
from tests.faults.publisher import publishing_key
from tests.journeys.processes import ServerProcess, Terminal, clean_environment, log_of, serving
from tests.journeys.small_builds import small_build, zip_of
from tests.updates.acme import NOTES, Acme, new_device, world

ROOM = 16_384
"""Bytes that every file may have: enough for the log, too little for any transaction."""


@dataclass(frozen=True)
class Server:
    """A server process, devices and a publisher before it, and its log."""

    process: ServerProcess
    devices: Devices
    data_dir: Path

    @contextmanager
    def full_disk(self) -> Iterator[None]:
        """No file of the process is written beyond `ROOM`."""
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (ROOM, hard))
        try:
            yield
        finally:
            resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (hard, hard))

    def publish(self, version: str) -> httpx.Response:
        client, registry = self.devices.acme.client, self.devices.acme.registry
        content = zip_of({**small_build(version), "noise.bin": random.Random(version).randbytes(4 * ROOM)})
        query = {"app_id": NOTES, "version": version}
        key = publishing_key(registry)
        return client.post("/capstan/bundle/upload", params=query, content=content, headers={"capgkey": key})

    def log(self) -> list[dict[str, Any]]:
        """Lines in the form of `structlog.testing.capture_logs`."""
        lines = [json.loads(line) for line in log_of(self.data_dir).read_text().splitlines()]
        return [{**line, "log_level": line["level"]} for line in lines]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    data_dir = tmp_path / "data"
    terminal = Terminal(clean_environment(tmp_path, {"CAPSTAN_LOG_FORMAT": "json"}))
    terminal.capstan("setup", "--data-dir", data_dir)
    with ExitStack() as stack:
        registry, telemetry = (open_engine(sqlite_url(data_dir / f"{name}.db")) for name in ("registry", "telemetry"))
        stack.callback(registry.dispose)
        stack.callback(telemetry.dispose)
        seed(registry, world())
        process = stack.enter_context(serving(terminal, data_dir))
        client = stack.enter_context(httpx.Client(base_url=process.url, timeout=30))
        yield Server(process, Devices(Acme(client, Registry(registry), telemetry)), data_dir)


def test_a_full_disk_stops_what_must_be_kept_and_nothing_else(server: Server) -> None:
    devices, device = server.devices, new_device()
    assert is_well(devices.every_answer())
    with server.full_disk():
        for _ in range(3):
            answers = devices.every_answer(device)
            check_honest(answers, knows_apps=True)
            assert answers["check"].json()["version"] == "2.1.0"
            assert is_tired(answers["event"])
            assert is_tired(answers["set"])
    assert devices.logged(device) == 0
    check_said_once(devices, server.log, "telemetry cannot be written", "choices of devices cannot be kept")
    assert devices.tell(device, STAMP).status_code == 200
    assert devices.logged(device) == 1


def test_what_is_published_on_a_full_disk_can_be_published_again(server: Server) -> None:
    with server.full_disk():
        refused = server.publish("9.9.9")
        assert (refused.status_code, refused.json()["error"]) == (503, "upstream_unavailable")
        assert server.devices.offered() == "2.1.0"
    assert list((server.data_dir / "incoming").iterdir()) == []
    assert server.publish("9.9.9").status_code == 200
