"""Every recorded answer of the device protocol for the routes that exist, on both databases.

Where the contract says to mend what was recorded, the vector stands in `MENDED` with the line that orders it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from tests.databases import DatabaseUrls
from tests.device_world import seed
from tests.server import running_server

FOLDER = Path(__file__).parents[1] / "vectors" / "device"
VECTORS = [json.loads(line) for line in (FOLDER / "vectors.jsonl").read_text().splitlines()]
ROUTES_TO_COME = ("/channel_self", "/updates/manifest_size")

MENDED = {
    "updates.rollout_zero_on_target": "device 6.3: at 0 % every device goes back to stable, whatever other channels do",
}


def _route(vector: dict[str, Any]) -> str:
    path: str = vector["request"]["path"]
    return path.partition("?")[0]


SERVED = [vector for vector in VECTORS if not _route(vector).startswith(ROUTES_TO_COME)]


@pytest.fixture(scope="module")
def client(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    engine = open_engine(database_urls.registry)
    migrate(engine, "registry")
    seed(engine, json.loads((FOLDER / "world.json").read_text()))
    engine.dispose()
    flags = {
        **database_urls.flags,
        "data_dir": str(tmp_path_factory.mktemp("data")),
        "limited_apps": '[{"id": "com.golden.limited", "ignore": 1}]',
        "log_checks": "all",
    }
    with running_server(flags) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


@pytest.mark.parametrize("vector", SERVED, ids=lambda vector: vector["name"])
def test_a_recorded_request_gets_its_recorded_answer(client: httpx.Client, vector: dict[str, Any]) -> None:
    request = vector["request"]
    body = request.get("raw_body") or (json.dumps(request["body"]) if request["body"] is not None else None)
    answer = client.request(request["method"], request["path"], headers=request["headers"], content=body)
    got = answer.json() if answer.content else None
    if vector["name"] in MENDED:
        assert got != vector["body"], "this vector need not stand in the list any more"
        assert answer.status_code == vector["status"]
        return
    assert answer.status_code == vector["status"]
    assert comparable(got, str(client.base_url)) == comparable(vector["body"], "{{ORIGIN}}")
    assert answer.headers["content-type"] == vector["headers"]["content-type"]
    assert answer.headers.get("access-control-allow-origin") == vector["headers"].get("access-control-allow-origin")


def comparable(value: Any, origin: str) -> Any:
    """The value with this server's origin masked, manifests in the order of their names and without device ids.

    Manifest URLs of this server carry no device id, as the contract allows (device 1.9).
    """
    if isinstance(value, str):
        return value.replace(origin.rstrip("/"), "ORIGIN")
    if isinstance(value, list):
        items = [comparable(item, origin) for item in value]
        return sorted(items, key=lambda item: item["file_name"]) if _is_manifest(items) else items
    if isinstance(value, dict):
        return {key: _without_device(key, comparable(item, origin)) for key, item in value.items()}
    return value


def _is_manifest(items: list[Any]) -> bool:
    return bool(items) and all(isinstance(item, dict) and "file_name" in item for item in items)


def _without_device(key: str, value: Any) -> Any:
    return re.sub(r"&device_id=[0-9a-f-]+$", "", value) if key == "download_url" and isinstance(value, str) else value


def test_every_mended_vector_is_one_of_the_recorded() -> None:
    assert set(MENDED) <= {vector["name"] for vector in SERVED}
