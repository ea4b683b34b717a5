"""Seeds an empty data directory with a world: `python -m tests.device_world WORLD.json --data-dir D`.

The format is that of the recorded vectors' `world.json`: organizations with plan state, apps, versions, channels, delta
files, device overrides, with their ids. Counters are derived, plan dates count from now.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, insert, select, text

from capstan.db.session import first_revision
from capstan.db.tables import app_versions, apps, channel_devices, channels, manifest, orgs, users
from capstan.settings import load
from capstan.stores import open_stores

World = Mapping[str, list[dict[str, Any]]]

_NAMESPACE = uuid.UUID("6a1f3c58-3c1c-4a57-9d40-5d9c6f0f2a11")


def seed(engine: Engine, world: World) -> None:
    """Fill an empty, migrated registry."""
    now = datetime.now(UTC)
    with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        creators = {org["created_by"] for org in world["orgs"]}
        _fill(connection, users, [_user(user_id, now) for user_id in sorted(creators)])
        _fill(connection, orgs, [_org(org, now) for org in world["orgs"]])
        _fill(connection, apps, _apps(world, now))
        _fill(connection, app_versions, _versions(world, now))
        _fill(connection, manifest, _manifest(world))
        _fill(connection, channels, _channels(world, now))
        _fill(connection, channel_devices, _overrides(world, now))
        if engine.dialect.name == "postgresql":
            for table in (app_versions, channels):
                _advance_ids(connection, table)


def _fill(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table), rows)


def _copies(world: World, part: str) -> Iterable[dict[str, Any]]:
    return (dict(row) for row in world[part])


def _user(user_id: str, now: datetime) -> dict[str, Any]:
    return {"id": user_id, "email": f"{user_id}@world.example", "created_at": now, "updated_at": now}


def _org(org: dict[str, Any], now: datetime) -> dict[str, Any]:
    plan = org["plan"] or {}
    trial = plan.get("trial_days_from_now")
    return {
        "id": org["id"],
        "name": org["name"],
        "created_by": org["created_by"],
        "management_email": org["management_email"],
        "customer_id": org["customer_id"],
        "has_usage_credits": org["has_usage_credits"],
        "plan_status": plan.get("status"),
        "trial_at": now + timedelta(days=trial) if trial is not None else None,
        "mau_exceeded": plan.get("mau_exceeded", False),
        "bandwidth_exceeded": plan.get("bandwidth_exceeded", False),
        "storage_exceeded": plan.get("storage_exceeded", False),
        "email_preferences": {},
        "onboarding": {"intent": "unknown"},
        "created_at": now,
        "updated_at": now,
    }


def _apps(world: World, now: datetime) -> list[dict[str, Any]]:
    overrides = Counter(row["app_id"] for row in world["channel_devices"])
    app_of_version = {row["id"]: row["app_id"] for row in world["versions"]}
    with_files = Counter(app_of_version[version] for version in {row["version_id"] for row in world["manifest"]})
    return [
        {
            **app,
            "id": _uuid("app", app["app_id"]),
            "channel_device_count": overrides[app["app_id"]],
            "manifest_bundle_count": with_files[app["app_id"]],
            "revision": first_revision(now),
            "created_at": now,
            "updated_at": now,
        }
        for app in _copies(world, "apps")
    ]


def _versions(world: World, now: datetime) -> list[dict[str, Any]]:
    owner = {app["app_id"]: app["owner_org"] for app in world["apps"]}
    files = Counter(row["version_id"] for row in world["manifest"])
    return [
        {
            **row,
            "owner_org": owner[row["app_id"]],
            "manifest_count": files[row["id"]],
            "deleted_at": now if row["deleted"] else None,
            "created_at": now,
            "updated_at": now,
        }
        for row in _copies(world, "versions")
    ]


def _manifest(world: World) -> list[dict[str, Any]]:
    return [{"app_version_id": row.pop("version_id"), **row} for row in _copies(world, "manifest")]


def _channels(world: World, now: datetime) -> list[dict[str, Any]]:
    app = {row["app_id"]: row for row in world["apps"]}
    creator = {org["id"]: org["created_by"] for org in world["orgs"]}
    rows = []
    for row in _copies(world, "channels"):
        owner = app[row["app_id"]]["owner_org"]
        paused = row.pop("rollout_paused")
        rows.append(
            {
                **row,
                "rbac_id": _uuid("channel", str(row["id"])),
                "owner_org": owner,
                "created_by": creator[owner],
                "rollout_paused_at": now if paused else None,
                "created_at": now,
                "updated_at": now,
            }
        )
    return rows


def _overrides(world: World, now: datetime) -> list[dict[str, Any]]:
    owner = {app["app_id"]: app["owner_org"] for app in world["apps"]}
    return [
        {**row, "owner_org": owner[row["app_id"]], "created_at": now, "updated_at": now}
        for row in _copies(world, "channel_devices")
    ]


def _uuid(kind: str, name: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, f"{kind}:{name}"))


def _advance_ids(connection: Connection, table: Table) -> None:
    highest = connection.execute(select(func.max(table.c.id))).scalar()
    if highest is not None:
        connection.execute(
            text("select setval(pg_get_serial_sequence(:table, 'id'), :highest)"),
            {"table": table.name, "highest": highest},
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("world", type=Path)
    parser.add_argument("--data-dir", required=True)
    arguments = parser.parse_args()
    world = json.loads(arguments.world.read_text())
    with open_stores(load({"data_dir": arguments.data_dir}, os.environ)) as stores:
        with stores.registry.read() as session:
            taken = session.scalar(select(func.count()).select_from(orgs))
        if taken:
            raise SystemExit("this data directory has organizations already; give an empty one")
        seed(stores.registry.engine, world)
    sys.stdout.write(f"seeded {len(world['orgs'])} organizations and {len(world['apps'])} apps\n")


if __name__ == "__main__":
    main()
