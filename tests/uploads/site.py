"""A running server whose world is made for uploads, and a client that speaks TUS to it."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import Engine, MetaData, RowMapping, Table, insert, select, update

from capstan.access.keys import SecretBox
from capstan.access.principal import KeyMode, SystemPrincipal
from capstan.apikeys import service as apikeys
from capstan.db.session import Registry
from capstan.db.tables import app_versions, uploads
from capstan.db.tables import registry as registry_tables
from capstan.files.objects import ObjectStore
from capstan.settings import load
from capstan.stores import object_store, open_stores
from capstan.telemetry.tables import telemetry as telemetry_tables
from tests.device_world import seed
from tests.server import running_server

ORG = "046a36ac-e03c-4590-9257-bd6c9dba9ee8"
OTHER_ORG = "046a36ac-e03c-4590-9257-bd6c9dba9ee9"
UNPAID_ORG = "046a36ac-e03c-4590-9257-bd6c9dba9eea"
OWNER = "00000000-0000-4000-8000-00000000000a"
APP = "io.acme.notes"
ROOT = f"orgs/{ORG}/apps/{APP}"
KEY = f"{ROOT}/2.5.0.zip"
DEVICE = "00009a6b-eefe-490a-9c60-8e965132ae51"
CREATE = "/files/upload/attachments"
READ = "/files/read/attachments/"
SYSTEM = SystemPrincipal("seeding a test")

_BOX = SecretBox((b"a key for tests only, of 32 bytes",))


def _org(org_id: str, name: str, customer_id: str | None = None, status: str | None = None) -> dict[str, Any]:
    plan = {"status": status, "trial_days_from_now": -30} if status else None
    return {
        "id": org_id,
        "name": name,
        "created_by": OWNER,
        "management_email": "owner@acme.example",
        "customer_id": customer_id,
        "has_usage_credits": False,
        "plan": plan,
    }


def _bundle(bundle_id: int, name: str, provider: str, key: str | None) -> dict[str, Any]:
    return {
        "id": bundle_id,
        "app_id": APP,
        "name": name,
        "deleted": False,
        "storage_provider": provider,
        "r2_path": key,
        "user_id": OWNER,
    }


def _world() -> dict[str, list[dict[str, Any]]]:
    apps = [(APP, ORG), ("io.acme.foreign", OTHER_ORG), ("io.acme.unpaid", UNPAID_ORG)]
    return {
        "orgs": [_org(ORG, "Acme"), _org(OTHER_ORG, "Other"), _org(UNPAID_ORG, "Unpaid", "cus_1", "failed")],
        "apps": [{"app_id": app_id, "owner_org": org, "name": app_id} for app_id, org in apps],
        "versions": [
            _bundle(101, "2.0.0", "r2", f"{ROOT}/2.0.0.zip"),
            _bundle(102, "2.5.0", "r2-direct", None),
        ],
        "channels": [],
        "manifest": [
            {
                "version_id": 101,
                "file_name": "a.js",
                "file_hash": "f" * 64,
                "s3_path": f"{ROOT}/delta/{'e' * 64}_a.js",
                "file_size": 8,
            }
        ],
        "channel_devices": [],
    }


@dataclass(frozen=True)
class Site:
    """One installation: its settings, its registry, its objects, and keys to it. Servers come and go."""

    flags: dict[str, str]
    registry: Registry
    telemetry: Engine
    objects: ObjectStore
    owner: str
    unpaid: str

    @contextmanager
    def serving(self, **flags: str) -> Iterator[Uploader]:
        """A server, and the owner who uploads to it."""
        with (
            running_server({**self.flags, **flags}) as url,
            httpx.Client(base_url=url, timeout=30, trust_env=False) as client,
        ):
            yield Uploader(client, self.owner)

    def rows(self, table: Table) -> Sequence[RowMapping]:
        with self.registry.read() as session:
            return session.rows(select(table))

    def telemetry_rows(self, table: Table) -> list[dict[str, Any]]:
        with self.telemetry.connect() as connection:
            return [dict(row) for row in connection.execute(select(table)).mappings()]

    def alter(self, table: Table, values: Mapping[str, Any]) -> None:
        """Set columns of every row."""
        with self.registry.write(SYSTEM) as session:
            session.run(update(table).values(dict(values)))

    def add_bundle(self, name: str, **columns: Any) -> None:
        """A bundle of the owner that waits for its files."""
        with self.registry.write(SYSTEM) as session:
            values = {
                "app_id": APP,
                "name": name,
                "owner_org": ORG,
                "user_id": OWNER,
                "storage_provider": "r2-direct",
                "created_at": session.now,
                "updated_at": session.now,
                **columns,
            }
            session.run(insert(app_versions).values(values))

    def new_key(self, mode: KeyMode, org_id: str = ORG) -> str:
        return new_key(self.registry, mode, org_id)

    def is_working(self) -> bool:
        """Whether a request holds an upload."""
        return any(row["lock_owner"] for row in self.rows(uploads))

    def object_count(self) -> int:
        return sum(1 for _ in self.objects.list_names())


@contextmanager
def open_site(flags: dict[str, str]) -> Iterator[Site]:
    """A new installation with these settings."""
    settings = load(flags, {})
    with open_stores(settings) as stores:
        seed(stores.registry.engine, _world())
        owner = new_key(stores.registry, "all", ORG)
        unpaid = new_key(stores.registry, "all", UNPAID_ORG)
        yield Site(flags, stores.registry, stores.telemetry, object_store(settings), owner, unpaid)
        # The same databases may serve another site.
        _empty(stores.registry.engine, registry_tables)
        _empty(stores.telemetry, telemetry_tables)


def _empty(engine: Engine, tables: MetaData) -> None:
    with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        for table in reversed(tables.sorted_tables):
            connection.execute(table.delete())


def new_key(registry: Registry, mode: KeyMode, org_id: str) -> str:
    with registry.write(SYSTEM) as session:
        return apikeys.create_with_mode(session, _BOX, user_id=OWNER, org_id=org_id, mode=mode).secret


def base64_text(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def metadata(key: str, filetype: str = "application/zip") -> str:
    return f"filename {base64_text(key)},filetype {base64_text(filetype)}"


@dataclass(frozen=True)
class Uploader:
    """Whoever holds an API key and uploads with it. Underscores in header names become hyphens."""

    client: httpx.Client
    secret: str

    def with_key(self, secret: str) -> Uploader:
        return Uploader(self.client, secret)

    def ask(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> httpx.Response:
        """A request with exactly these headers besides the key, and `Tus-Resumable`; an empty one is left out."""
        sent = {"capgkey": self.secret, "tus-resumable": "1.0.0", **(headers or {})}
        return self.client.request(
            method, url, content=body, headers={name: value for name, value in sent.items() if value}
        )

    def create(
        self, key: str = KEY, length: int | None = 11, body: bytes | None = None, **headers: str
    ) -> httpx.Response:
        sent = {"upload-metadata": metadata(key), **_named(headers)}
        if length is not None:
            sent["upload-length"] = str(length)
        if body is not None:
            sent.setdefault("content-type", "application/offset+octet-stream")
        return self.ask("POST", CREATE, sent, body)

    def begun(self, key: str = KEY, length: int | None = 11, **headers: str) -> str:
        """The URL of a new upload."""
        answer = self.create(key, length, body=None, **headers)
        assert answer.status_code == 201, answer.text
        return str(answer.headers["location"])

    def patch(self, url: str, offset: int, body: bytes, **headers: str) -> httpx.Response:
        sent = {"upload-offset": str(offset), "content-type": "application/offset+octet-stream"}
        return self.ask("PATCH", url, {**sent, **_named(headers)}, body)

    def head(self, url: str) -> httpx.Response:
        return self.ask("HEAD", url)

    def offset(self, url: str) -> int:
        answer = self.head(url)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    def upload(self, key: str, content: bytes, **headers: str) -> httpx.Response:
        """A whole upload; the answer to its last request."""
        return self.patch(self.begun(key, len(content), **headers), 0, content)

    @contextmanager
    def half_sent(self, url: str, offset: int, announced: int, body: bytes) -> Iterator[Callable[[bytes], bytes]]:
        """A PATCH that announces more than it sends, until its connection ends; or until what is given sends the rest,
        and gives the head of the answer."""
        parts = urlsplit(url)
        head = (
            f"PATCH {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\ncapgkey: {self.secret}\r\n"
            f"Upload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {announced}\r\n\r\n"
        )
        with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:

            def send_rest(rest: bytes) -> bytes:
                connection.sendall(rest)
                return connection.recv(65536)

            connection.sendall(head.encode() + body)
            yield send_rest


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def wait_until(condition: Callable[[], bool]) -> None:
    """Until the server has come so far; fails after a long time."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the server does not come so far"
        time.sleep(0.01)


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, in the shape of devices (contract: device 0.2)."""
    envelope = answer.json()
    assert isinstance(envelope["message"], str)
    assert ("moreInfo" in envelope) == (envelope["error"] not in ("not_found", "on_premise_app"))
    return answer.status_code, envelope["error"]
