"""What the recorded requests leave behind, all of them together, on both databases: the log, device rows, and counts.

Notices to people (`queue_notice`) are not sent by this server. A vector that leaves something else here stands in
`OTHERWISE` with the line of the contract that says so; its device is left out of the comparison.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any, TypeAlias

import httpx
import pytest
from sqlalchemy import Engine, RowMapping, Table

from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.db.tables import channel_self_choices
from capstan.telemetry.tables import device_days, devices, events, unknown_app_events
from tests.databases import DatabaseUrls
from tests.device_world import seed
from tests.server import running_server
from tests.updates.test_device_vectors import FOLDER, MENDED, VECTORS, device_of, send

Records: TypeAlias = dict[str, Counter[tuple[Any, ...]]]

KINDS = ("log", "version_use", "device_seen", "device", "log_unknown_app", "choice")
OTHERWISE = {
    **MENDED,
    "stats.platform_any_text": "device 2.1: the platform is any text; only the analytics store turned it into a code",
}

LEFT_OUT = {device_of(vector) for vector in VECTORS if vector["name"] in OTHERWISE}

LOG = ("app_id", "device_id", "action", "version", "metadata", "platform", "plugin_version")
USE = ("app_id", "version", "action", "channel", "channel_id")
SEEN = ("app_id", "device_id", "native_version", "platform")
DEVICE = (
    *("app_id", "device_id", "version", "plugin_version", "os_version", "custom_id", "native_version"),
    *("default_channel", "key_id", "install_source", "platform", "is_prod", "is_emulator"),
)
UNKNOWN = ("app_id", "device_id", "version", "platform", "plugin_version")


@pytest.fixture(scope="module")
def records(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> tuple[Records, Records]:
    """What was recorded, and what this server holds after the same requests."""
    engine = open_engine(database_urls.registry)
    migrate(engine, "registry")
    seed(engine, json.loads((FOLDER / "world.json").read_text()))
    flags = {
        **database_urls.flags,
        "data_dir": str(tmp_path_factory.mktemp("data")),
        "limited_apps": '[{"id": "com.golden.limited", "ignore": 1}]',
        "log_checks": "all",
    }
    with running_server(flags) as base_url, httpx.Client(base_url=base_url) as client:
        for vector in VECTORS:
            send(client, vector)
    telemetry = open_engine(database_urls.telemetry)
    try:
        return recorded(), held(engine, telemetry)
    finally:
        engine.dispose()
        telemetry.dispose()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_held_is_what_was_recorded(records: tuple[Records, Records], kind: str) -> None:
    expected, got = records[0][kind], records[1][kind]
    assert (got - expected, expected - got) == (Counter(), Counter())


def recorded() -> Records:
    """The events of all vectors, by kind; of a device's rows the last, each device's activity once."""
    found: Records = {kind: Counter() for kind in KINDS}
    latest: dict[tuple[str, str], tuple[Any, ...]] = {}
    choices: dict[tuple[str, str], int] = {}
    for event in (event for vector in VECTORS if vector["name"] not in OTHERWISE for event in vector["events"]):
        key = (event.get("app_id", ""), event.get("device_id", ""))
        match event["kind"]:
            case "log":
                found["log"][_of(event, LOG)] += 1
            case "version_use":
                found["version_use"][_of(event, USE)] += 1
            case "device_seen":
                found["device_seen"][_of(event, SEEN)] = 1
            case "device":
                latest[key] = _of(event, DEVICE)
            case "log_unknown_app":
                found["log_unknown_app"][_of(event, UNKNOWN)] += 1
            case "remember_channel":
                choices[key] = event["channel_id"]
            case "forget_channel":
                del choices[key]
    found["device"] = Counter(latest.values())
    found["choice"] = Counter((*key, channel_id) for key, channel_id in choices.items())
    return found


def held(registry: Engine, telemetry: Engine) -> Records:
    """The same of this server's tables."""
    log = [{**row, "version": row["version_name"], "metadata": _read(row)} for row in rows_of(telemetry, events)]
    used = [
        {
            "app_id": row["app_id"],
            "version": row["usage_version"],
            "action": row["usage"],
            "channel": row["channel_name"] or "",
            "channel_id": "" if row["channel_id"] is None else str(row["channel_id"]),
        }
        for row in log
        if row["usage"]
    ]
    seen = [{**row, "native_version": row["version_build"]} for row in rows_of(telemetry, device_days)]
    known = [
        {**row, "version": row["version_name"], "native_version": row["version_build"]}
        for row in rows_of(telemetry, devices)
    ]
    unknown = [{**row, "version": row["version_name"]} for row in rows_of(telemetry, unknown_app_events)]
    return {
        "log": Counter(_of(row, LOG) for row in log),
        "version_use": Counter(_of(row, USE) for row in used),
        "device_seen": Counter(_of(row, SEEN) for row in seen),
        "device": Counter(_of(row, DEVICE) for row in known),
        "log_unknown_app": Counter(_of(row, UNKNOWN) for row in unknown),
        "choice": Counter(
            _of(row, ("app_id", "device_id", "channel_id")) for row in rows_of(registry, channel_self_choices)
        ),
    }


def rows_of(engine: Engine, table: Table) -> list[RowMapping]:
    """All rows but those of devices that are left out."""
    with engine.connect() as connection:
        rows = connection.execute(table.select()).mappings().all()
    return [row for row in rows if row["device_id"] not in LEFT_OUT]


def _read(row: RowMapping) -> Any:
    return json.loads(row["metadata"]) if row["metadata"] is not None else None


def _of(row: Any, names: tuple[str, ...]) -> tuple[Any, ...]:
    """The members of a row that count; absent, null and empty are one."""
    return tuple(
        json.dumps(row[name], sort_keys=True) if isinstance(row[name], dict) else row[name] or "" for name in names
    )
