"""What holds for any traffic: no body breaks the server, a batch is its events, a replay changes nothing."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, select

from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.telemetry.tables import daily_mau, daily_version, device_days, devices, events
from tests.contract.section8_world import world
from tests.databases import DatabaseUrls
from tests.device_world import seed
from tests.server import running_server
from tests.updates.world import BASE

APPS = ("io.acme.notes.v60", "io.acme.notes.v61")
"""Two apps with the same bundles and channels, so that the same traffic can be sent in two ways."""

REPLAYED = "io.acme.notes.v62"

ACTIONS = ("set", "ping", "update_fail", "download_fail", "app_moved_to_foreground", "set_next", "nonsense")
ROUTES = (
    ("POST", "/updates"),
    ("POST", "/stats"),
    ("POST", "/updates/manifest_size"),
    ("POST", "/channel_self"),
    ("PUT", "/channel_self"),
    ("DELETE", "/channel_self"),
    ("GET", "/channel_self"),
)

FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
MORE = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
)
MEMBERS = sorted({*BASE, "action", "channel", "metadata", "manifest"})
nearly_valid = st.dictionaries(st.sampled_from(MEMBERS), any_json).map(lambda odd: {**BASE, **odd})

event_changes = st.fixed_dictionaries(
    {
        "device": st.integers(0, 3),
        "action": st.sampled_from(ACTIONS),
        "version_name": st.sampled_from(["2.0.0", "2.1.0", "1.9.9", "8.8.8", "builtin", "2.1.0:main.js"]),
        "old_version_name": st.sampled_from(["", "2.0.0", "2.1.0", "7.7.7"]),
        "is_emulator": st.booleans(),
        "is_prod": st.booleans(),
        "custom_id": st.sampled_from(["", "ann"]),
    }
)


_worlds = itertools.count()


def events_of(changes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Events of devices that no example before had."""
    number = next(_worlds)
    return [
        {
            **BASE,
            **{name: value for name, value in change.items() if name != "device"},
            "device_id": f"{number:08x}-0000-4000-8000-{change['device']:012x}",
        }
        for change in changes
    ]


@dataclass(frozen=True)
class Site:
    client: httpx.Client
    telemetry: Engine

    def recorded(self, app_id: str) -> dict[str, list[Any]]:
        """What is kept of an app, without its name and without moments and row ids."""
        unlike = {"app_id", "id", "created_at", "updated_at", "channel_id"}
        kept = {}
        with self.telemetry.connect() as connection:
            for table in (events, devices, device_days, daily_mau, daily_version):
                rows = connection.execute(select(table).where(table.c.app_id == app_id)).mappings()
                kept[table.name] = sorted(
                    json.dumps({name: str(value) for name, value in row.items() if name not in unlike}, sort_keys=True)
                    for row in rows
                )
        return kept


@pytest.fixture(scope="module")
def site(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    engine = open_engine(database_urls.registry)
    migrate(engine, "registry")
    seed(engine, world())
    engine.dispose()
    flags = {**database_urls.flags, "data_dir": str(tmp_path_factory.mktemp("data")), "rate_limit_channel_self_ip": "0"}
    with running_server(flags) as base_url, httpx.Client(base_url=base_url) as client:
        telemetry_engine = open_engine(database_urls.telemetry)
        yield Site(client, telemetry_engine)
        telemetry_engine.dispose()


@pytest.mark.parametrize(("method", "path"), ROUTES)
@MORE
@given(body=any_json | nearly_valid | st.lists(nearly_valid, max_size=3))
def test_no_json_body_is_too_much_for_the_server(site: Site, method: str, path: str, body: Any) -> None:
    answer = site.client.request(method, path, content=json.dumps(body))
    assert answer.status_code < 500
    assert answer.json() is not None


@FEW
@given(changes=st.lists(event_changes, min_size=1, max_size=8))
def test_a_batch_is_the_same_as_its_events_one_by_one(site: Site, changes: list[dict[str, Any]]) -> None:
    sent = events_of(changes)
    batch, single = ([{**event, "app_id": app_id} for event in sent] for app_id in APPS)
    results = site.client.post("/stats", json=batch).json()["results"]
    answers = [site.client.post("/stats", json=event).json() for event in single]
    assert [result["status"] == "ok" for result in results] == [answer.get("status") == "ok" for answer in answers]
    assert site.recorded(APPS[0]) == site.recorded(APPS[1])


@FEW
@given(changes=st.lists(event_changes, min_size=1, max_size=8))
def test_a_batch_with_timestamps_that_comes_again_changes_nothing(site: Site, changes: list[dict[str, Any]]) -> None:
    batch = [{**event, "app_id": REPLAYED, "timestamp": at} for at, event in enumerate(events_of(changes))]
    first = site.client.post("/stats", json=batch).json()
    before = site.recorded(REPLAYED)
    assert site.client.post("/stats", json=batch).json() == first
    assert site.recorded(REPLAYED) == before
