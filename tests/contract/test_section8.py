"""V01 to V101 of the contract, on both databases: what is answered, and what is recorded.

What the contract says to mend stands in `MENDED` with the line that orders it. `notify` effects are weekly notices to
people, which this server does not send.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, select

from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.telemetry.tables import device_days, devices, events, unknown_app_events
from tests.contract.section8_world import APPS, as_written, own, shift, vectors, world
from tests.databases import SECRET_KEY, DatabaseUrls
from tests.device_world import seed
from tests.server import running_server
from tests.updates.world import BASE, DEV

VECTORS = vectors()
IDS = [vector["id"] for vector in VECTORS]
ADDRESS = "198.51.100.7"

MENDED: dict[str, tuple[str, int, str]] = {
    "V10": ("7.9: wrong JSON types are a clear 400", 400, "invalid_json_body"),
    "V48": ("7.9: a bundle name that a policy cannot compare is told as 200", 200, "semver_error"),
    "V68": ("7.9: events of devices on their native bundle are taken", 200, "ok"),
    "V74": ("7.9: a missing action is a clear 400", 400, "invalid_json_body"),
    "V90": ("7.9: DELETE accepts a body", 200, "ok"),
}
MENDED_ITEMS = {"V76": {3: "invalid_json_body"}}


@dataclass
class Outcome:
    status: int
    body: Any
    headers: httpx.Headers
    effects: list[str] = field(default_factory=list)


def request_of(vector: dict[str, Any]) -> tuple[str, str | None]:
    """Path and body."""
    path = own(vector["path"], vector["id"])
    request = vector.get("request")
    if request is None:
        return path, None
    if "raw" in request:
        return path, request["raw"]
    body = [filled(item) for item in request["batch"]] if "batch" in request else filled(request)
    return path, own(json.dumps(body), vector["id"])


def filled(item: dict[str, Any]) -> dict[str, Any]:
    if item.get("base") != "B":
        return item
    body = {**BASE, **item.get("set", {})}
    return {name: value for name, value in body.items() if name not in item.get("unset", [])}


def ask(client: httpx.Client, vector: dict[str, Any]) -> Outcome:
    headers = {"x-forwarded-for": ADDRESS} if vector["id"] in ("V13", "V14") else {}
    if vector["id"] == "V13":
        for number in range(4):
            client.post("/updates", json={**BASE, "app_id": f"io.acme.other{number}"}, headers=headers)
    path, body = request_of(vector)
    answer = client.request(vector["method"], path, content=body, headers=headers)
    text = as_written(answer.text, vector["id"])
    return Outcome(answer.status_code, json.loads(text) if text else None, answer.headers)


@pytest.fixture(scope="module")
def outcomes(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Outcome]]:
    """All vectors asked in order; effects are read after the server has stopped, so that all of them are written."""
    engine = open_engine(database_urls.registry)
    migrate(engine, "registry")
    seed(engine, world())
    engine.dispose()
    flags = {
        **database_urls.flags,
        "data_dir": str(tmp_path_factory.mktemp("data")),
        "log_checks": "all",
        "public_url": "https://updates.example",
        "trusted_proxies": "127.0.0.1",
        "limited_apps": '[{"id": "io.acme.notes.v15", "ignore": 1}]',
        # Fixed, because V13 asks that the hashed places of its five app ids differ.
        "secret_key": SECRET_KEY,
        # The vectors are of a server that offers a bundle again to the device that failed it.
        "failed_bundle_memory": "0",
    }
    with running_server(flags) as base_url, httpx.Client(base_url=base_url) as client:
        asked = {vector["id"]: ask(client, vector) for vector in VECTORS}
    telemetry = open_engine(database_urls.telemetry)
    for vector_id, outcome in asked.items():
        outcome.effects = effects_of(telemetry, vector_id)
    yield asked
    telemetry.dispose()


def effects_of(engine: Engine, vector_id: str) -> list[str]:
    """What is recorded for this vector's apps, in the contract's notation."""
    app_ids = [own(app, vector_id) for app in APPS]
    found: list[str] = []
    with engine.connect() as connection:
        for row in connection.execute(select(events).where(events.c.app_id.in_(app_ids))).mappings():
            if row["usage"]:
                channel = f" @{row['channel_name']}" if row["channel_name"] else ""
                found.append(f"usage {row['usage']} {row['usage_version']}{channel}")
            metadata = f" {row['metadata']}" if row["metadata"] else ""
            found.append(f"log {row['action']} {row['version_name']}{metadata}")
        if connection.execute(select(device_days).where(device_days.c.app_id.in_(app_ids))).first():
            found.append("mau")
        for row in connection.execute(select(devices).where(devices.c.app_id.in_(app_ids))).mappings():
            shown = {name: row[name] or "-" for name in ("custom_id", "default_channel", "key_id")}
            columns = " ".join(f"{name}={value}" for name, value in shown.items())
            found.append(f"device version_name={row['version_name']} {columns}")
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_a_vector_gets_its_answer(outcomes: dict[str, Outcome], vector: dict[str, Any]) -> None:
    got = outcomes[vector["id"]]
    mended = MENDED.get(vector["id"])
    if mended is not None:
        _reason, status, said = mended
        assert got.status == status
        assert said in (got.body.get("error"), got.body.get("status"))
        return
    assert got.status == vector["status"]
    expected, body = comparable(vector["expect"]), comparable(got.body)
    if vector["id"] == "V91":
        body = sorted(({**row, "id": row["id"] - shift("V91")} for row in body), key=lambda row: row["id"])
    for path in vector.get("volatile", []):
        expected, body = without(expected, path), without(body, path)
    for index, code in MENDED_ITEMS.get(vector["id"], {}).items():
        assert body["results"][index]["error"] == code
        expected["results"][index] = body["results"][index]
    assert body == expected
    for name, value in vector.get("headers", {}).items():
        if f"headers.{name}" not in vector.get("volatile", []):
            assert got.headers[name] == value


def comparable(answer: Any) -> Any:
    """An answer with its manifest in order of names; this server's manifest URLs carry no device id (device 1.9)."""
    copy = json.loads(json.dumps(answer).replace(f"?key=201&device_id={DEV}", "?key=201"))
    if isinstance(copy, dict) and "manifest" in copy:
        copy["manifest"].sort(key=lambda entry: entry["file_name"])
    return copy


def without(value: Any, path: str) -> Any:
    """A copy without the member that a path such as `expect.results[3].message` names."""
    copy = json.loads(json.dumps(value))
    *steps, last = path.replace("[", ".").replace("]", "").split(".")[1:]
    place = copy
    for step in steps:
        place = place[int(step)] if isinstance(place, list) else place.get(step, {})
    if isinstance(place, dict):
        place.pop(last, None)
    return copy


CHAINS = {"V94": ["V94", "V95", "V96", "V97", "V98", "V99"], "V81": ["V81", "V86"], "V13": ["V13", "V14"]}


RECORDED_AS_WRITTEN = [vector for vector in VECTORS if vector["id"] not in MENDED]


@pytest.mark.parametrize("vector", RECORDED_AS_WRITTEN, ids=lambda vector: vector["id"])
def test_a_vector_records_what_it_should(outcomes: dict[str, Outcome], vector: dict[str, Any]) -> None:
    chain = next((chain for chain in CHAINS.values() if vector["id"] in chain), [vector["id"]])
    members = [one for one in VECTORS if one["id"] in chain]
    expected = [effect for one in members for effect in one["effects"] if recorded_here(effect)]
    got = outcomes[vector["id"]].effects
    assert sorted(set(got)) == sorted(set(latest_device(expected)))
    assert sorted(effect for effect in got if effect.startswith("log")) == sorted(
        effect for effect in expected if effect.startswith("log")
    )


def recorded_here(effect: str) -> bool:
    return not effect.startswith(("notify", "external-log"))


def latest_device(effects: list[str]) -> list[str]:
    """Of several writes of one device's row, the last one stands."""
    rows = [effect for effect in effects if effect.startswith("device ")]
    return [effect for effect in effects if not effect.startswith("device ")] + rows[-1:]


def test_requests_for_unknown_apps_are_noted(outcomes: dict[str, Outcome], database_urls: DatabaseUrls) -> None:
    assert outcomes["V11"].status == 429
    engine = open_engine(database_urls.telemetry)
    with engine.connect() as connection:
        noted = {row["app_id"] for row in connection.execute(select(unknown_app_events)).mappings()}
    engine.dispose()
    assert {"io.acme.ghost", "io.acme.other0"} <= noted
    assert "io.acme.ghost4" not in noted, "the short refusal records nothing (contract: device 1.4 step 2)"


def test_an_event_of_a_device_on_its_native_bundle_is_activity_and_no_use_of_a_version(
    outcomes: dict[str, Outcome],
) -> None:
    assert sorted(outcomes["V68"].effects) == [
        "device version_name=1.0.0 custom_id=- default_channel=- key_id=-",
        "log app_moved_to_foreground 1.0.0",
        "mau",
    ]
