"""Every call that a device can make, and what it may be told while something behind the server is broken."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
from sqlalchemy import func, select

from capstan.access.principal import SystemPrincipal
from capstan.db.tables import channels
from capstan.telemetry.tables import events
from tests.updates.acme import DELTA, NOTES, Acme, new_device
from tests.updates.world import HASHES

LATEST_SECONDS = 20.0
"""When everything must work again; much longer than it takes."""

DEVICE_PATIENCE_SECONDS = 10.0
"""How long a device waits for an answer (contract: device 7.1)."""

STAMP = 1_750_000_000_000
"""The moment of an event, as its device tells it."""

PRODUCTION, OFFERED, OTHER = 11, 102, 103
LEGACY = {"plugin_version": "7.33.0"}
TIRED = frozenset({"service_unavailable", "too_many_requests"})
MANIFEST = [{"file_name": "index.html", "file_hash": HASHES["<A1>"], "download_url": None}]


@dataclass(frozen=True)
class Devices:
    """Devices of the small world of `tests.updates.acme`; most ask only once."""

    acme: Acme

    def offered(self) -> str:
        """The version that a new device of an app in memory is offered. Fails if it gets any other answer."""
        answer = self.check()
        assert answer.status_code == 200, answer.text
        offer = answer.json()
        assert offer["url"], offer
        version: str = offer["version"]
        return version

    def check(self) -> httpx.Response:
        """The answer to a check of a new device."""
        return self.acme.ask(new_device(), "POST", "/updates")

    def unknown(self) -> httpx.Response:
        """The answer to a check of an app that was never asked for: nobody knows whether it exists."""
        return self.acme.ask(new_device(), "POST", "/updates", app_id=f"com.example.a{uuid.uuid4().hex}")

    def tell(self, device: str, stamp: int) -> httpx.Response:
        """An event with the device's own time."""
        return self.acme.ask(device, "POST", "/stats", version_name="2.1.0", action="set", timestamp=stamp)

    def choose(self, device: str) -> httpx.Response:
        """A choice that the server is to keep."""
        return self.acme.ask(device, "POST", app_id=DELTA, channel="beta", **LEGACY)

    def every_answer(self, device: str | None = None) -> dict[str, httpx.Response]:
        """The answers to one call of each kind, made at the same time by one device."""
        ask, client = self.acme.ask, self.acme.client
        device = device or new_device()
        calls: dict[str, Callable[[], httpx.Response]] = {
            "check": lambda: ask(device, "POST", "/updates"),
            "check with delta files": lambda: ask(device, "POST", "/updates", app_id=DELTA),
            "check of an app that is not in memory": self.unknown,
            "event": lambda: self.tell(device, STAMP),
            "event of an app that is not in memory": lambda: ask(
                device, "POST", "/stats", app_id=f"com.example.a{uuid.uuid4().hex}", action="ping"
            ),
            "batch": lambda: client.post("/stats", json=[]),
            "list": lambda: client.get("/channel_self", params={"app_id": NOTES, "platform": "ios"}),
            "get": lambda: ask(device, "PUT"),
            "set": lambda: self.choose(device),
            "unset": lambda: ask(device, "DELETE", app_id=DELTA, **LEGACY),
            "size": lambda: ask(device, "POST", "/updates/manifest_size", app_id=DELTA, manifest=MANIFEST),
            "latency": lambda: client.get("/latency"),
        }
        with ThreadPoolExecutor(len(calls)) as pool:
            pending = {name: pool.submit(call) for name, call in calls.items()}
            return {name: answer.result() for name, answer in pending.items()}

    def release(self, version: int) -> None:
        """Have the production channel offer another bundle."""
        with self.acme.registry.write(SystemPrincipal("test")) as session:
            session.run(channels.update().where(channels.c.id == PRODUCTION).values(version=version))
            session.touch_app(NOTES)

    def touch(self) -> None:
        """Have snapshots of the app taken anew."""
        with self.acme.registry.write(SystemPrincipal("test")) as session:
            session.touch_app(NOTES)

    def logged(self, device: str) -> int:
        """How often the event log has what a device has told."""
        with self.acme.telemetry.connect() as connection:
            counted = (
                select(func.count()).select_from(events).where(events.c.device_id == device, events.c.action == "set")
            )
            return int(connection.execute(counted).scalar_one())

    def until_all_is_well(self) -> None:
        """Until every call works again, releases are seen, and events are written: nobody has to do anything."""
        until(lambda: is_well(self.every_answer()))
        for version, name in ((OTHER, "2.2.0"), (OFFERED, "2.1.0")):
            self.release(version)
            until(lambda name=name: self.offered() == name)  # type: ignore[misc]  # mypy cannot infer the default
        device = new_device()
        assert self.tell(device, STAMP).json() == {"status": "ok"}
        assert self.logged(device) == 1


def until(condition: Callable[[], bool]) -> None:
    """Wait; fails after a long time."""
    deadline = time.monotonic() + LATEST_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come so far"
        time.sleep(0.02)


def is_tired(answer: httpx.Response) -> bool:
    """Whether a device is told to come back later, in terms that it understands (contract: device 0.2, 7.4)."""
    if answer.status_code not in (429, 503) or answer.json()["error"] not in TIRED:
        return False
    return int(answer.headers["retry-after"]) >= 1


def is_well(answers: Mapping[str, httpx.Response]) -> bool:
    """Whether everything works; who asks for unknown apps is told so."""
    return all(
        (answer.json().get("error") == "on_premise_app") if "not in memory" in name else answer.status_code == 200
        for name, answer in answers.items()
    )


def check_honest(answers: Mapping[str, httpx.Response], *, knows_apps: bool = False) -> None:
    """Each device got a true answer or is told to come back, and none has waited in vain.

    Who asks for unknown apps is told so only by a server that `knows_apps`, because it can read that much.
    """
    for name, answer in answers.items():
        facts = (name, answer.status_code, answer.text)
        assert answer.elapsed.total_seconds() < DEVICE_PATIENCE_SECONDS, facts
        if knows_apps and "not in memory" in name:
            continue
        assert answer.status_code == 200 or is_tired(answer), facts
        assert "on_premise_app" not in answer.text, facts
