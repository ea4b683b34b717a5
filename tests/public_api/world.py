"""A small world behind the public API: an owner, an organization, an app, and a key that may do everything there.

Tests add what they are about. Rows are written directly where the room that makes them is not what is tested.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Engine, RowMapping, Table, insert, select, update

from capstan.access.keys import SecretBox, key_hash, mint_key
from capstan.access.principal import Binding, KeyMode, SystemPrincipal
from capstan.apikeys import service as apikeys
from capstan.apikeys import store as apikeys_store
from capstan.apps import service as apps
from capstan.db.session import Registry, WriteSession
from capstan.db.tables import app_versions, audit_logs, orgs, users
from capstan.db.tables import apps as apps_table
from capstan.telemetry.tables import devices
from tests.public_api.plane import Caller, Clock, build_plane

OWNER = "00000000-0000-4000-8000-00000000000a"
OWNER_EMAIL = "owner@example.com"
ORG = "00000000-0000-4000-8000-0000000000aa"
APP = "com.demo.app"
FIRST_MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
SYSTEM = SystemPrincipal("seeding a test")
BOX = SecretBox((b"a key for tests only, of 32 bytes",))


def epoch_ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


@dataclass
class World:
    """`owner` calls with a key of mode `all` in a plain `authorization` header, `modern` with the same in `capgkey`."""

    registry: Registry
    telemetry: Engine
    runner: asyncio.Runner
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.plane = build_plane(self.registry, self.telemetry, self.clock)
        with self.registry.write(SYSTEM) as session:
            _add_user(session, OWNER, OWNER_EMAIL)
            _add_org(session, ORG, "Demo")
            apps.create(session, SYSTEM, apps.NewApp(APP, "Demo", ORG))
            self.secret = _add_key(session, "all", ORG)
        self.owner = self.calling_with(self.secret)
        self.modern = self.owner.with_headers({"capgkey": self.secret})

    def calling_with(self, secret: str) -> Caller:
        return Caller(self.plane, self.runner, {"authorization": secret})

    def caller_of_mode(self, mode: KeyMode, org_id: str = ORG) -> Caller:
        """Whoever holds a new key of this mode."""
        with self.registry.write(SYSTEM) as session:
            return self.calling_with(_add_key(session, mode, org_id))

    def caller_with_roles(self, *bindings: Binding) -> Caller:
        """Whoever holds a new key with exactly these bindings."""
        with self.registry.write(SYSTEM) as session:
            return self.calling_with(_add_bound_key(session, bindings))

    def on_app(self, role: str, app_id: str = APP) -> Binding:
        app = self.app(app_id)
        return Binding(role, "app", app["owner_org"], app_id, app["id"])

    def on_channel(self, role: str, channel: RowMapping) -> Binding:
        app = self.app(channel["app_id"])
        return Binding(role, "channel", app["owner_org"], app["app_id"], app["id"], channel["rbac_id"])

    def add_org(self, name: str, **columns: Any) -> str:
        org_id = str(uuid.uuid4())
        with self.registry.write(SYSTEM) as session:
            _add_org(session, org_id, name, **columns)
        return org_id

    def add_app(self, app_id: str, org_id: str = ORG) -> str:
        with self.registry.write(SYSTEM) as session:
            apps.create(session, SYSTEM, apps.NewApp(app_id, app_id, org_id))
        return app_id

    def add_bundle(self, name: str, app_id: str = APP, **columns: Any) -> int:
        """A finished bundle, external so that it needs no file; its id."""
        with self.registry.write(SYSTEM) as session:
            values = {
                "app_id": app_id,
                "name": name,
                "owner_org": ORG,
                "user_id": OWNER,
                "created_at": session.now,
                "updated_at": session.now,
                "storage_provider": "external",
                "external_url": f"https://bundles.example/{name}.zip",
                **columns,
            }
            row = session.first(insert(app_versions).values(values).returning(app_versions.c.id))
            assert row is not None
            bundle_id: int = row["id"]
            return bundle_id

    def add_device(self, device_id: str, app_id: str = APP, **columns: Any) -> None:
        """A device as its own traffic would have left it."""
        now = epoch_ms(FIRST_MOMENT)
        values = {
            "app_id": app_id,
            "device_id": device_id,
            "version_name": "1.0.0",
            "platform": "ios",
            "plugin_version": "8.0.0",
            "os_version": "18.1",
            "created_at": now,
            "updated_at": now,
            "last_seen_on": date(2026, 1, 1),
            **columns,
        }
        with self.telemetry.connect().execution_options(capstan_writes=True) as connection, connection.begin():
            connection.execute(insert(devices).values(values))

    def alter(self, table: Table, values: Mapping[str, Any]) -> None:
        """Set columns of every row of a table."""
        with self.registry.write(SYSTEM) as session:
            session.run(update(table).values(dict(values)))

    def rows(self, table: Table) -> Sequence[RowMapping]:
        with self.registry.read() as session:
            return session.rows(select(table).order_by(*table.primary_key.columns))

    def app(self, app_id: str = APP) -> RowMapping:
        (row,) = (row for row in self.rows(apps_table) if row["app_id"] == app_id)
        return row

    def audit_of(self, table_name: str) -> Sequence[RowMapping]:
        """Audit rows of a table, oldest first."""
        with self.registry.read() as session:
            of_table = select(audit_logs).where(audit_logs.c.table_name == table_name)
            return session.rows(of_table.order_by(audit_logs.c.id))


def _add_user(session: WriteSession, user_id: str, email: str) -> None:
    moment = {"created_at": session.now, "updated_at": session.now}
    session.run(insert(users).values(id=user_id, email=email, **moment))


def _add_org(session: WriteSession, org_id: str, name: str, **columns: Any) -> None:
    values = {
        "id": org_id,
        "created_by": OWNER,
        "name": name,
        "management_email": OWNER_EMAIL,
        "email_preferences": {},
        "onboarding": {"intent": "unknown"},
        "created_at": session.now,
        "updated_at": session.now,
        **columns,
    }
    session.run(insert(orgs).values(values))


def _add_key(session: WriteSession, mode: KeyMode, org_id: str) -> str:
    return apikeys.create_with_mode(session, BOX, user_id=OWNER, org_id=org_id, mode=mode).secret


def _add_bound_key(session: WriteSession, bindings: Sequence[Binding]) -> str:
    secret, rbac_id = mint_key(), str(uuid.uuid4())
    apikeys_store.insert_key(
        session,
        {
            "rbac_id": rbac_id,
            "user_id": OWNER,
            "name": "bound",
            "key_hash": key_hash(secret),
            "key_sealed": BOX.seal(secret, f"apikey:{rbac_id}"),
            "created_at": session.now,
            "updated_at": session.now,
        },
    )
    rows = [apikeys.binding_row(session, "apikey", rbac_id, binding) for binding in bindings]
    apikeys_store.insert_bindings(session, rows)
    return secret
