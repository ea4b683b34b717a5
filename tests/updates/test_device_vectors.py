"""Every recorded answer of the device protocol, on both databases.

Requests of one device, recorded one after the other, are one story: an answer may depend on what the one before left.
Where the contract says to mend what was recorded, the vector stands in `MENDED` with the line that orders it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import groupby
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

MENDED = {
    "updates.rollout_zero_on_target": "device 6.3: at 0 % every device goes back to stable, whatever other channels do",
}


MASKS = {"rateLimitResetAt": "{{EPOCH_MS}}", "retryAfterSeconds": "{{SECONDS}}"}
HEADERS = ("content-type", "access-control-allow-origin")


def device_of(vector: dict[str, Any]) -> str:
    """The device that asks, or the vector's own name if it tells none."""
    found = re.search(r'device_id(?:": "|=)([0-9A-Fa-f-]{36})', json.dumps(vector["request"]))
    return found[1].lower() if found is not None else str(vector["name"])


STORIES = [list(story) for _, story in groupby(VECTORS, device_of)]


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
        # The recordings are of a server that offers a bundle again to the device that failed it.
        "failed_bundle_memory": "0",
    }
    with running_server(flags) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story[0]["name"])
def test_recorded_requests_get_their_recorded_answers(client: httpx.Client, story: list[dict[str, Any]]) -> None:
    for vector in story:
        check_answer(client, vector)


def send(client: httpx.Client, vector: dict[str, Any]) -> httpx.Response:
    request = vector["request"]
    body = request.get("raw_body") or (json.dumps(request["body"]) if request["body"] is not None else None)
    return client.request(request["method"], request["path"], headers=request["headers"], content=body)


def check_answer(client: httpx.Client, vector: dict[str, Any]) -> None:
    """Send one recorded request and compare what comes."""
    answer = send(client, vector)
    got = answer.json() if answer.content else None
    if vector["name"] in MENDED:
        assert got != vector["body"], "this vector need not stand in the list any more"
        assert answer.status_code == vector["status"]
        return
    assert answer.status_code == vector["status"]
    assert comparable(got, str(client.base_url)) == comparable(vector["body"], "{{ORIGIN}}")
    for name in HEADERS:
        assert answer.headers.get(name) == vector["headers"].get(name)
    for name in {"retry-after", "x-ratelimit-reset"} & vector["headers"].keys():
        assert int(answer.headers[name]) > 0


def comparable(value: Any, origin: str) -> Any:
    """The value with this server's origin and times masked, lists in the order of names, manifests without device ids.

    Manifest URLs of this server carry no device id, as the contract allows (device 1.9).
    """
    if isinstance(value, str):
        return value.replace(origin.rstrip("/"), "ORIGIN")
    if isinstance(value, list):
        return _by_name([comparable(item, origin) for item in value])
    if isinstance(value, dict):
        return {key: _masked(key, comparable(item, origin)) for key, item in value.items()}
    return value


def _by_name(items: list[Any]) -> list[Any]:
    """Manifests and channels in the order of their names, any other list as it is."""
    for name in ("file_name", "name"):
        if items and all(isinstance(item, dict) and name in item for item in items):
            return sorted(items, key=lambda item: str(item[name]))
    return items


def _masked(key: str, value: Any) -> Any:
    if key == "download_url" and isinstance(value, str):
        return re.sub(r"&device_id=[0-9a-f-]+$", "", value)
    return MASKS[key] if key in MASKS and isinstance(value, int) and value > 0 else value


def test_every_mended_vector_is_one_of_the_recorded() -> None:
    assert set(MENDED) <= {vector["name"] for vector in VECTORS}
