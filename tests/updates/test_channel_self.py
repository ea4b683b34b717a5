"""Channel calls over HTTP: where input may stand, both generations of plugins, what is kept, and faults."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import msgspec
import pytest
from sqlalchemy import Engine, text

from capstan.updates.body import unlimited
from capstan.updates.channel_self.handler import ChannelSelfHandler
from capstan.updates.channel_self.limits import ChannelCallLimits
from capstan.updates.directory import Entry
from capstan.updates.recording import Recorder
from capstan.updates.snapshot import Channel
from tests.databases import DatabaseUrls
from tests.updates.acme import DELTA, NOTES, UNPAID, Acme, acme_server, new_device
from tests.updates.world import BASE, snapshot

LEGACY = {"plugin_version": "7.33.0"}
LIMITED = "io.acme.limited"
CALLS_OF_ADDRESS = 3
NOT_SERVED = {"error": "on_premise_app", "message": "On-premise app detected"}
CANNOT_OVERRIDE = {
    "error": "cannot_override",
    "message": "Cannot change device override current channel don't allow it",
}
DEVICE_ROW = "device version_name=2.0.0 custom_id=- default_channel=- key_id=-"


@pytest.fixture(scope="module")
def acme(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    flags = {
        "limited_apps": f'[{{"id": "{LIMITED}", "ignore": 1}}]',
        "trusted_proxies": "127.0.0.1/32",
        "rate_limit_channel_self_ip": str(CALLS_OF_ADDRESS),
    }
    with acme_server(database_urls, tmp_path_factory.mktemp("data"), **flags) as acme:
        yield acme


@contextmanager
def without_table(engine: Engine, table: str) -> Iterator[None]:
    """A database whose statements on one table fail."""

    def rename(old: str, new: str) -> None:
        with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
            connection.execute(text(f"alter table {old} rename to {new}"))

    rename(table, f"{table}_away")
    try:
        yield
    finally:
        rename(f"{table}_away", table)


@pytest.mark.parametrize(
    ("method", "changes", "answer"),
    [
        ("POST", {"channel": "beta"}, {"status": "ok", "allowSet": True}),
        ("PUT", {}, {"channel": "production", "status": "default"}),
        ("DELETE", {}, {"status": "ok"}),
    ],
)
def test_input_may_come_in_the_body_or_in_the_query(
    acme: Acme, method: str, changes: dict[str, Any], answer: dict[str, Any]
) -> None:
    in_body = acme.client.request(method, "/channel_self", json={**BASE, "device_id": new_device(), **changes})
    call = {**BASE, "device_id": new_device(), **changes, "is_prod": "true", "is_emulator": "false"}
    in_query = acme.client.request(method, "/channel_self", params=call)
    for got in (in_body, in_query):
        assert (got.status_code, got.json()) == (200, answer)


def test_a_list_may_be_asked_with_a_body(acme: Acme) -> None:
    by_body = acme.client.request("GET", "/channel_self", json={"app_id": NOTES, "platform": "ios"})
    by_query = acme.client.get("/channel_self", params={"app_id": NOTES, "platform": "ios"})
    assert by_body.json() == by_query.json()
    assert [channel["name"] for channel in by_query.json()] == ["production", "beta", "ios-tests"]


def test_a_list_records_nothing_and_head_has_no_body(acme: Acme) -> None:
    device_id = new_device()
    query = {**BASE, "device_id": device_id}
    assert acme.client.get("/channel_self", params=query).status_code == 200
    head = acme.client.head("/channel_self", params=query)
    assert (head.status_code, head.content) == (200, b"")
    assert acme.recorded(device_id) == []


@pytest.mark.parametrize("path", ["/channel_self", "/channel_self/", "/plugin/channel_self", "/plugin/channel_self/"])
def test_the_route_has_an_old_name_and_may_end_in_a_slash(acme: Acme, path: str) -> None:
    assert acme.ask(new_device(), "PUT", path).json() == {"channel": "production", "status": "default"}
    assert acme.client.patch(path, json=BASE).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_broken_json_is_said_so(acme: Acme, method: str) -> None:
    answer = acme.client.request(method, "/channel_self", content=b"{")
    assert answer.status_code == 400
    assert answer.json() == {"error": "invalid_json_parse_body", "message": "Invalid JSON body", "moreInfo": {"e": {}}}


def test_all_that_is_wrong_with_a_call_is_listed_in_order(acme: Acme) -> None:
    wrong: dict[str, Any] = {
        "version_name": 1,
        "platform": "web",
        "channel": None,
        "plugin_version": 8,
        "key_id": "k" * 21,
    }
    answer = acme.ask(new_device(), "POST", **wrong)
    issues = answer.json()["moreInfo"]["parseResult"]["error"]["issues"]
    assert answer.json()["error"] == "invalid_json_body"
    assert [(issue["path"][0], issue["message"]) for issue in issues] == [
        ("version_name", "Version name must be a string"),
        ("platform", "Platform is not supported or invalid"),
        ("channel", "channel must be a string"),
        ("plugin_version", "plugin_version must be a string"),
        ("key_id", "String must contain at most 20 character(s)"),
    ]
    answer = acme.ask(new_device(), "DELETE", platform="web")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_query_parameters")


def test_the_limit_list_names_app_and_device(acme: Acme) -> None:
    device_id = new_device()
    for method in ("POST", "PUT", "DELETE", "GET"):
        answer = acme.ask(device_id, method, app_id=LIMITED)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        assert answer.json()["moreInfo"] == {"app_id": LIMITED, "device_id": device_id}
    listed = acme.client.get("/channel_self", params={"app_id": LIMITED, "platform": "ios"})
    assert listed.json()["moreInfo"] == {"app_id": LIMITED}


@pytest.mark.parametrize("version", ["7.33.0", "8.0.0-alpha.1", "5.33.9", "not a version"])
def test_a_legacy_plugin_chooses_on_the_server(acme: Acme, version: str) -> None:
    device_id = new_device()
    assert acme.ask(device_id, "POST", plugin_version=version, channel="beta").json() == {"status": "ok"}
    assert acme.choices()[device_id] == 12
    got = acme.ask(device_id.upper(), "PUT", plugin_version=version).json()
    assert got == {"channel": "beta", "status": "override", "allowSet": True}
    assert acme.ask(device_id, "DELETE", plugin_version=version).json() == {"status": "ok"}
    assert device_id not in acme.choices()


@pytest.mark.parametrize("version", ["8.0.0", "7.34.0", "4.0.0", "9.1.0", ""])
def test_a_modern_plugin_is_only_told_whether_it_may(acme: Acme, version: str) -> None:
    device_id = new_device()
    answer = acme.ask(device_id, "POST", plugin_version=version, channel="beta")
    assert answer.json() == {"status": "ok", "allowSet": True}
    assert device_id not in acme.choices()
    assert acme.recorded(device_id) == [DEVICE_ROW, "log setChannel 2.0.0"]


def test_a_stored_choice_counts_for_legacy_plugins_only(acme: Acme) -> None:
    device_id = new_device()
    acme.ask(device_id, "POST", **LEGACY, channel="beta")
    assert acme.ask(device_id, "POST", "/updates", **LEGACY).json()["version"] == "2.2.0"
    assert acme.ask(device_id, "POST", "/updates").json()["version"] == "2.1.0"


def test_a_choice_moves_no_revision_and_is_counted(acme: Acme) -> None:
    before = acme.app(NOTES)
    device_id = new_device()
    acme.ask(device_id, "POST", **LEGACY, channel="beta")
    chosen = acme.app(NOTES)
    acme.ask(device_id, "POST", **LEGACY, channel="ios-tests")
    assert acme.choices()[device_id] == 14
    moved = acme.app(NOTES)
    acme.ask(device_id, "DELETE", **LEGACY)
    after = acme.app(NOTES)
    assert {row["revision"] for row in (before, chosen, moved, after)} == {before["revision"]}
    counts = [row["channel_self_count"] - before["channel_self_count"] for row in (chosen, moved, after)]
    assert counts == [1, 1, 0]


def test_choosing_the_public_channel_is_choosing_none(acme: Acme) -> None:
    device_id = new_device()
    acme.ask(device_id, "POST", **LEGACY, app_id=DELTA, channel="beta")
    assert acme.choices()[device_id] == 22
    answer = acme.ask(device_id, "POST", **LEGACY, app_id=DELTA, channel="production")
    assert answer.json() == {"status": "ok"}
    assert device_id not in acme.choices()
    assert acme.recorded(device_id).count("log setChannel 2.0.0") == 2


def test_a_choice_out_of_a_closed_channel_is_refused(acme: Acme) -> None:
    device_id = new_device()
    acme.ask(device_id, "POST", **LEGACY, channel="ios-tests")
    with acme.closed(14):
        assert acme.ask(device_id, "PUT", **LEGACY).json()["allowSet"] is False
        assert acme.ask(device_id, "POST", **LEGACY, channel="beta").json() == CANNOT_OVERRIDE
        assert acme.ask(device_id, "DELETE", **LEGACY).json() == CANNOT_OVERRIDE
    assert acme.ask(device_id, "DELETE", **LEGACY).json() == {"status": "ok"}


def test_a_legacy_plugin_without_a_choice_learns_its_default(acme: Acme) -> None:
    def got(**changes: Any) -> Any:
        return acme.ask(new_device(), "PUT", **LEGACY, **changes).json()

    assert got() == {"channel": "production", "status": "default"}
    assert got(defaultChannel="staff") == {"channel": "staff", "status": "default"}
    assert got(defaultChannel="nope") == {"error": "channel_not_found", "message": "Cannot find channel"}


def test_installs_are_counted_for_the_channel_that_the_device_chose(acme: Acme) -> None:
    device_id = new_device()
    acme.ask(device_id, "POST", **LEGACY, channel="beta")
    answer = acme.ask(device_id, "POST", "/stats", **LEGACY, action="set", version_name="2.2.0")
    assert answer.json() == {"status": "ok"}
    with acme.closed(12):
        acme.ask(device_id, "POST", "/stats", **LEGACY, action="set", version_name="2.2.0")
    with acme.telemetry.connect() as connection:
        found = connection.execute(
            text("select channel_name from events where device_id = :device and usage = 'install' order by id"),
            {"device": device_id},
        )
        assert list(found.scalars()) == ["beta", "production"]


def test_an_app_without_a_valid_plan_is_not_served(acme: Acme) -> None:
    device_id = new_device()
    answer = acme.ask(device_id, "PUT", app_id=UNPAID)
    assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (429, NOT_SERVED, "30")
    assert acme.recorded(device_id) == [DEVICE_ROW, "log needPlanUpgrade 2.0.0"]
    listed = acme.client.get("/channel_self", params={**BASE, "device_id": device_id, "app_id": UNPAID})
    assert (listed.status_code, listed.json()) == (429, NOT_SERVED)
    assert len(acme.recorded(device_id)) == 2


def test_an_unknown_app_leaves_nothing(acme: Acme) -> None:
    device_id = new_device()
    for method in ("POST", "PUT", "DELETE"):
        answer = acme.ask(device_id, method, app_id="io.acme.ghost", channel="beta")
        assert (answer.status_code, answer.json()) == (429, NOT_SERVED)
    assert acme.recorded(device_id) == []


def test_choices_made_at_the_same_time_are_all_kept_and_counted(acme: Acme) -> None:
    before = len(acme.choices())
    ids = [new_device() for _ in range(8)]

    def choose(device_id: str) -> None:
        acme.ask(device_id, "POST", **LEGACY, app_id=DELTA, channel="beta")

    threads = [threading.Thread(target=choose, args=(one,)) for one in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(ids) <= set(acme.choices())
    assert len(acme.choices()) == before + len(ids)
    assert sum(acme.app(app_id)["channel_self_count"] for app_id in (NOTES, DELTA)) == len(acme.choices())


def test_choices_that_cannot_be_read_or_kept_are_asked_for_again_later(acme: Acme) -> None:
    acme.ask(new_device(), "POST", **LEGACY, channel="beta")
    with without_table(acme.registry.engine, "channel_self_choices"):
        got = acme.ask(new_device(), "PUT", **LEGACY)
        chosen = acme.ask(new_device(), "POST", **LEGACY, channel="beta")
        unset = acme.ask(new_device(), "DELETE", **LEGACY)
    assert (got.status_code, got.json()["error"], got.headers["retry-after"]) == (503, "service_unavailable", "30")
    for answer in (chosen, unset):
        assert (answer.status_code, answer.json()["error"]) == (429, "too_many_requests")
        assert answer.headers["retry-after"] == "30"


def test_calls_that_cannot_be_recorded_are_not_answered_as_done(acme: Acme) -> None:
    with without_table(acme.telemetry, "events"):
        assert acme.ask(new_device(), "PUT").status_code == 503
        assert acme.ask(new_device(), "POST", channel="beta").status_code == 429
        assert acme.ask(new_device(), "GET").status_code == 200
    assert acme.ask(new_device(), "PUT").status_code == 200


def test_an_address_may_call_for_an_app_only_so_often(acme: Acme) -> None:
    def ask(address: str, app_id: str = NOTES) -> httpx.Response:
        query = {**BASE, "device_id": new_device(), "app_id": app_id}
        return acme.client.get("/channel_self", params=query, headers={"x-forwarded-for": address})

    assert [ask("203.0.113.7").status_code for _ in range(CALLS_OF_ADDRESS + 1)] == [200] * CALLS_OF_ADDRESS + [429]
    facts = ask("203.0.113.7").json()["moreInfo"]
    assert (facts["reason"], facts["app_id"]) == ("ip_rate_limit_exceeded", NOTES)
    assert 0 < facts["retryAfterSeconds"] <= 60
    assert ask("203.0.113.7", DELTA).status_code == 200
    assert ask("203.0.113.8").status_code == 200


def test_a_channel_that_went_meanwhile_is_not_chosen(acme: Acme) -> None:
    gone = snapshot(NOTES, Channel(id=999, name="gone", version_id=None, stable=None, allow_device_self_set=True))

    class BehindTheTimes:
        async def app(self, _app_id: str) -> Entry:
            return Entry(gone, 0, 0.0)

    unused: Any = SimpleNamespace(failures=0)
    directory: Any = BehindTheTimes()
    handler = ChannelSelfHandler(
        directory, acme.registry, unused, Recorder(unused, "all"), unlimited, ChannelCallLimits(0, lambda: 0.0)
    )
    call: Any = SimpleNamespace(query=b"", address=None)
    body = msgspec.json.encode({**BASE, **LEGACY, "channel": "gone"})
    answer = asyncio.run(handler.answer("set", body, call))
    assert (answer.status, msgspec.json.decode(answer.body)["error"]) == (200, "override_not_allowed")
    assert 999 not in acme.choices().values()
