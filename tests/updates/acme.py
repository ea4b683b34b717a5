"""A small world after the contract's fixture (device 8.1) as rows of a registry, and a server over it."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import Connection, Engine, RowMapping, Table

from capstan.access.principal import SystemPrincipal
from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.db.session import Registry
from capstan.db.tables import apps, channel_self_choices, channels
from capstan.telemetry.tables import device_days, devices, events
from tests.databases import DatabaseUrls
from tests.device_world import World, seed
from tests.server import running_server
from tests.updates.world import BASE, HASHES, ORG, ROOT, H

UNPAID_ORG = "7a1d3c52-0b6e-4f0a-8c55-2f6e9d1b4a34"
LATEST_SECONDS = 5.0
OWNER = "0d2d7d1a-6b1f-4a53-9a0f-3f1a5f0c7e11"
NOTES, DELTA, UNPAID = "io.acme.notes", "io.acme.delta", "io.acme.unpaid"


def world() -> World:
    """The organizations, apps, bundles and channels that calls of this suite need."""
    return {
        "orgs": [_org(ORG, None, None), _org(UNPAID_ORG, "cus_1", {"status": "canceled"})],
        "apps": [_app(NOTES), _app(DELTA, expose_metadata=True), _app(UNPAID, owner_org=UNPAID_ORG)],
        "versions": [
            _zip(102, "2.1.0"),
            _bundle(103, NOTES, "2.2.0", external_url="https://cdn.acme.example/notes-2.2.0.zip", checksum=H),
            _zip(107, "3.0.0"),
            _bundle(201, DELTA, "2.1.0"),
            _bundle(202, DELTA, "2.2.0"),
            _bundle(203, DELTA, "1.0.0", deleted=True),
        ],
        "channels": [
            _channel(11, NOTES, "production", 102, public=True),
            _channel(12, NOTES, "beta", 103, allow_device_self_set=True),
            _channel(13, NOTES, "staff", 107),
            _channel(14, NOTES, "ios-tests", None, allow_device_self_set=True, android=False, electron=False),
            _channel(21, DELTA, "production", 201, public=True, allow_device_self_set=True),
            _channel(22, DELTA, "beta", 202, allow_device_self_set=True),
            _channel(31, UNPAID, "production", None, public=True),
        ],
        "manifest": [
            _file(201, "index.html", HASHES["<A1>"], 5120),
            _file(201, "assets/main.js.br", HASHES["<B2>"], 9000),
            _file(201, "empty.txt", "e0" * 32, 0),
            _file(202, "index.html", HASHES["<A1>"], 5200),
            _file(203, "old.js", "d4" * 32, 700),
        ],
        "channel_devices": [],
    }


def _org(org_id: str, customer_id: str | None, plan: dict[str, Any] | None) -> dict[str, Any]:
    return {
        "id": org_id,
        "name": f"Acme {org_id[-1]}",
        "created_by": OWNER,
        "management_email": "ops@acme.example",
        "customer_id": customer_id,
        "has_usage_credits": False,
        "plan": plan,
    }


def _app(app_id: str, **fields: Any) -> dict[str, Any]:
    return {"app_id": app_id, "owner_org": ORG, "name": app_id, "expose_metadata": False, **fields}


def _bundle(row_id: int, app_id: str, name: str, **fields: Any) -> dict[str, Any]:
    absent = dict.fromkeys(("external_url", "checksum", "r2_path"))
    return {"id": row_id, "app_id": app_id, "name": name, "deleted": False, **absent, **fields}


def _zip(row_id: int, name: str) -> dict[str, Any]:
    return _bundle(row_id, NOTES, name, checksum=H, r2_path=f"{ROOT}/{NOTES}/{name}.zip")


def _channel(row_id: int, app_id: str, name: str, version: int | None, **fields: Any) -> dict[str, Any]:
    flags = {"public": False, "allow_device_self_set": False, "ios": True, "android": True, "electron": True}
    return {
        "id": row_id,
        "app_id": app_id,
        "name": name,
        "version": version,
        "rollout_id": f"{row_id:08x}-0c00-4000-8000-000000000000",
        "rollout_paused": False,
        **flags,
        **fields,
    }


def _file(version_id: int, name: str, file_hash: str, size: int) -> dict[str, Any]:
    path = f"{ROOT}/{DELTA}/delta/{file_hash}_{name}"
    return {
        "version_id": version_id,
        "file_name": name,
        "file_hash": file_hash,
        "s3_path": path,
        "file_size": size,
    }


@contextmanager
def acme_server(urls: DatabaseUrls, data_dir: Path, **flags: str) -> Iterator[Acme]:
    """A server over the fixture."""
    engine = open_engine(urls.registry)
    migrate(engine, "registry")
    seed(engine, world())
    settings = {**urls.flags, "data_dir": str(data_dir), "log_checks": "all", **flags}
    try:
        with running_server(settings) as base_url, httpx.Client(base_url=base_url) as client:
            telemetry_engine = open_engine(urls.telemetry)
            try:
                yield Acme(client, Registry(engine), telemetry_engine)
            finally:
                telemetry_engine.dispose()
    finally:
        engine.dispose()


@dataclass(frozen=True)
class Acme:
    """The running server, and what it stores."""

    client: httpx.Client
    registry: Registry
    telemetry: Engine

    def ask(self, device_id: str, method: str, path: str = "/channel_self", **changes: Any) -> httpx.Response:
        """Send the base request of a device with some members replaced, as JSON body."""
        return self.client.request(method, path, json={**BASE, "device_id": device_id, **changes})

    def choices(self) -> dict[str, int]:
        """The channel ids that devices have chosen."""
        with self.registry.read() as session:
            return {row["device_id"]: row["channel_id"] for row in session.rows(channel_self_choices.select())}

    def app(self, app_id: str) -> dict[str, Any]:
        with self.registry.read() as session:
            return dict(session.first(apps.select().where(apps.c.app_id == app_id)) or {})

    @contextmanager
    def closed(self, channel_id: int) -> Iterator[None]:
        """A channel of the notes app that devices may not choose for a while."""
        self._open_channel(channel_id, False)
        try:
            yield
        finally:
            self._open_channel(channel_id, True)

    def _open_channel(self, channel_id: int, is_open: bool) -> None:
        """Change it, and wait until the server knows, which takes moments on PostgreSQL."""
        with self.registry.write(SystemPrincipal("test")) as session:
            opened = {"allow_device_self_set": is_open}
            session.run(channels.update().where(channels.c.id == channel_id).values(**opened))
            session.touch_app(NOTES)
        until = time.monotonic() + LATEST_SECONDS
        while (channel_id in self._open_channels()) is not is_open:
            assert time.monotonic() < until, "the server does not learn of the change"
            time.sleep(0.01)

    def _open_channels(self) -> set[int]:
        listed = self.client.get("/channel_self", params={"app_id": NOTES, "platform": "ios"})
        return {channel["id"] for channel in listed.json() if channel["allow_self_set"]}

    def recorded(self, device_id: str) -> list[str]:
        """What telemetry holds about a device, in the notation of the vectors."""
        with self.telemetry.connect() as connection:
            rows = list(connection.execute(events.select().where(events.c.device_id == device_id)).mappings())
            found = [f"log {row['action']} {row['version_name']}" for row in rows]
            found += [f"usage {row['usage']} {row['usage_version']}" for row in rows if row["usage"]]
            found += [_device_effect(row) for row in self._of(connection, devices, device_id)]
            found += ["mau" for _ in self._of(connection, device_days, device_id)]
        return sorted(found)

    @staticmethod
    def _of(connection: Connection, table: Table, device_id: str) -> list[RowMapping]:
        return list(connection.execute(table.select().where(table.c.device_id == device_id)).mappings())


def new_device() -> str:
    return str(uuid.uuid4())


def _device_effect(row: RowMapping) -> str:
    columns = ("version_name", "custom_id", "default_channel", "key_id")
    return "device " + " ".join(f"{name}={row[name] or '-'}" for name in columns)
