"""`POST /capstan/explain`: the answer a device would get, in words, for whoever may read the app's devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from capstan.access.principal import KeyMode, SystemPrincipal
from capstan.apikeys import service as apikeys
from capstan.settings import load
from capstan.setup.service import Owner, claim
from capstan.stores import Stores, open_stores
from capstan.telemetry.tables import devices, events
from tests.databases import DatabaseUrls
from tests.server import running_server

APP = "com.example.app"
CHECK: dict[str, Any] = {
    "app_id": APP,
    "device_id": "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10",
    "platform": "android",
    "version_build": "1.0.0",
    "version_name": "builtin",
    "plugin_version": "8.51.14",
}


@dataclass(frozen=True)
class World:
    url: str
    stores: Stores
    user_id: str
    org_id: str
    key: str

    def ask(self, body: object = None, *, key: str | None = None) -> httpx.Response:
        return httpx.post(
            f"{self.url}/capstan/explain", json=CHECK if body is None else body, headers={"capgkey": key or self.key}
        )

    def key_of_mode(self, mode: KeyMode) -> str:
        with self.stores.registry.write(SystemPrincipal("test")) as session:
            return apikeys.create_with_mode(
                session, self.stores.secret_box, user_id=self.user_id, org_id=self.org_id, mode=mode
            ).secret

    def recorded(self) -> int:
        with self.stores.telemetry.connect() as connection:
            counts = [connection.scalar(select(func.count()).select_from(table)) or 0 for table in (devices, events)]
        return sum(counts)


@pytest.fixture(scope="module")
def world(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    flags = {**database_urls.flags, "data_dir": str(tmp_path_factory.mktemp("data")), "max_body_bytes": "10kB"}
    with open_stores(load(flags, {})) as stores, running_server(flags) as url:
        with stores.registry.write(SystemPrincipal("test")) as session:
            owner = claim(session, stores.secret_box, Owner())
        made = World(url, stores, owner.user_id, owner.organization_id, owner.api_key)
        headers = {"capgkey": owner.api_key}
        app = {"app_id": APP, "name": "App", "owner_org": owner.organization_id}
        assert httpx.post(f"{url}/app", json=app, headers=headers).status_code == 200
        bundle = {
            "app_id": APP,
            "version": "1.2.0",
            "external_url": "https://example.org/a.zip",
            "checksum": "a" * 64,
        }
        assert httpx.post(f"{url}/bundle", json=bundle, headers=headers).status_code == 200
        channel = {"app_id": APP, "channel": "production", "version": "1.2.0", "public": True}
        assert httpx.post(f"{url}/channel", json=channel, headers=headers).status_code == 200
        yield made


def test_it_tells_the_answer_that_the_device_gets_and_records_nothing(world: World) -> None:
    told = world.ask().json()
    assert world.recorded() == 0
    assert told["answer"] == httpx.post(f"{world.url}/updates", json=CHECK).json()
    assert told["status"] == 200
    assert (told["rule"], told["channel"], told["bundle"]) == ("update", "production", "1.2.0")
    assert all(step["passed"] for step in told["trace"])
    assert told["trace"][-1] == {"rule": "update", "passed": True, "words": "1.2.0 is offered."}


def test_a_refusal_names_the_rule_that_did_not_pass(world: World) -> None:
    told = world.ask({**CHECK, "version_build": "2.0.0"}).json()
    assert told["answer"]["error"] == "disable_auto_update_under_native"
    assert told["rule"] == "under_native"
    assert [step["rule"] for step in told["trace"] if not step["passed"]] == ["under_native"]


def test_a_check_that_is_refused_before_any_rule_has_no_trace(world: World) -> None:
    told = world.ask({**CHECK, "device_id": "not a device"}).json()
    assert (told["status"], told["answer"]["error"]) == (400, "invalid_json_body")
    assert (told["rule"], told["trace"]) == (None, [])


@pytest.mark.parametrize("mode", ["read", "upload", "write", "all"])
def test_every_mode_of_key_may_read_devices(world: World, mode: KeyMode) -> None:
    assert world.ask(key=world.key_of_mode(mode)).status_code == 200


def test_an_app_out_of_reach_and_one_that_does_not_exist_look_alike(world: World) -> None:
    answer = world.ask({**CHECK, "app_id": "com.example.other"})
    assert answer.status_code == 400
    assert answer.json() == {
        "error": "cannot_access_app",
        "message": "You can't access this app",
        "moreInfo": {"app_id": "com.example.other"},
        "status": "KO",
    }


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "missing_app_id"),
        ({**CHECK, "app_id": "no app"}, "invalid_app_id"),
        ({**CHECK, "app_id": 7}, "invalid_body"),
        ([], "invalid_body"),
    ],
)
def test_a_question_about_no_app_is_refused(world: World, body: object, code: str) -> None:
    answer = world.ask(body)
    assert (answer.status_code, answer.json()["error"]) == (400, code)


def test_without_a_key_nothing_is_told(world: World) -> None:
    answer = httpx.post(f"{world.url}/capstan/explain", json=CHECK)
    assert (answer.status_code, answer.json()["error"]) == (401, "no_key_provided")


def test_what_is_no_json_or_too_large_is_refused(world: World) -> None:
    headers = {"capgkey": world.key}
    answer = httpx.post(f"{world.url}/capstan/explain", content=b"{", headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_json_parse_body")
    answer = httpx.post(f"{world.url}/capstan/explain", json={**CHECK, "custom_id": "x" * 10_000}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (413, "body_too_large")


def test_only_post_is_answered(world: World) -> None:
    answer = httpx.get(f"{world.url}/capstan/explain", headers={"capgkey": world.key})
    assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
    assert answer.headers["x-request-id"]
