"""`capstan doctor --reconcile`, `capstan device export` and `forget`, beside a server that takes traffic."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, update

from capstan.db.engine import open_engine, sqlite_url
from capstan.statistics.reconciliation import whole_days_since
from capstan.telemetry.tables import daily_version
from capstan.telemetry.writing import writing
from tests.cli.terminal import Ended, Typist, new_terminal
from tests.files.zips import PAGE, zip_of
from tests.server import running_server
from tests.statistics.traffic import device_id_of

APP = "com.example.counted"
BASE = {
    "app_id": APP,
    "platform": "ios",
    "version_build": "1.0.0",
    "version_os": "18.0",
    "plugin_version": "8.45.0",
    "is_emulator": False,
    "is_prod": True,
    "custom_id": "ann",
}


@dataclass(frozen=True)
class Site:
    """A running server, somebody on its machine, and a device somewhere."""

    operator: Typist
    client: httpx.Client
    telemetry: Engine
    day: date
    """On which everything happened."""

    def type(self, *words: str) -> Ended:
        return self.operator.type(*words, "--data-dir", "data")

    def ask(self, device: int, running: str = "1.0.0") -> dict[str, Any]:
        about = {**BASE, "device_id": device_id_of(device), "version_name": running}
        answer = self.client.post("/updates", json=about)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def tell(self, device: int, action: str, version: str = "1.0.1", **more: Any) -> None:
        about = {**BASE, "device_id": device_id_of(device), "version_name": version, "action": action, **more}
        assert self.client.post("/stats", json=about).json() == {"status": "ok"}

    def load(self, offer: dict[str, Any]) -> int:
        """Fetch all files of an offer; how many bytes they had."""
        files = [self.client.get(file["download_url"]) for file in offer["manifest"]]
        assert {answer.status_code for answer in files} == {200}
        return sum(len(answer.content) for answer in files)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One bundle is published and offered; device 1 gets it as it should, device 2 has it from elsewhere."""
    operator = new_terminal(tmp_path_factory.mktemp("site"))
    data_dir = operator.folder / "data"
    with running_server({"data_dir": str(data_dir)}) as url:
        setup = operator.succeed("setup", "--data-dir", data_dir, "--json").json
        telemetry = open_engine(sqlite_url(data_dir / "telemetry.db"))
        with httpx.Client(base_url=url, headers={"capgkey": setup["api_key"]}) as client:
            publish(client, setup["organization_id"], "1.0.1", channel="production")
            site = Site(operator, client, telemetry, datetime.now(UTC).date())
            site.load(site.ask(1))
            site.tell(1, "set", old_version_name="1.0.0")
            site.tell(2, "set")
            site.tell(2, "app_crash", metadata={"where": "here"})
            yield site
        telemetry.dispose()


def publish(client: httpx.Client, org_id: str, version: str, **query: str) -> None:
    made = client.post("/app", json={"app_id": APP, "name": "Counted", "owner_org": org_id})
    assert made.status_code == 200, made.text
    content = zip_of({"index.html": PAGE, "app.js": b"let counted = true;" * 50})
    answer = client.post("/capstan/bundle/upload", params={"app_id": APP, "version": version, **query}, content=content)
    assert answer.status_code == 200, answer.text


def test_what_the_server_counted_agrees_with_its_log(site: Site) -> None:
    said = site.type("doctor", "--reconcile", "--to", str(site.day))
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert f"ok  period: {site.day - timedelta(days=6)} to {site.day}, 1 app" in lines
    assert "ok  mau: 2" in lines
    assert "ok  install: 2" in lines
    assert "ok  unoffered: 1 of 2 installs without a recorded offer" in lines
    assert all(line.startswith("ok  ") for line in lines)


def test_the_same_as_json(site: Site) -> None:
    said = site.type("doctor", "--reconcile", "--from", str(site.day), "--to", str(site.day), "--json")
    told = said.json
    assert (told["first"], told["last"], told["left_out"], told["differences"]) == (str(site.day), str(site.day), 0, [])
    totals = told["totals"]
    assert (totals["mau"], totals["native"], totals["get"], totals["install"], totals["unoffered"]) == (2, 2, 1, 2, 1)
    assert (totals["downloads"] > 0, totals["bandwidth"] > 0, totals["storage"] > 0) == (True, True, True)


def test_each_difference_is_named_and_the_exit_code_says_so(site: Site) -> None:
    raised = update(daily_version).where(daily_version.c.app_id == APP).values(install=daily_version.c.install + 1)
    lowered = update(daily_version).where(daily_version.c.app_id == APP).values(install=daily_version.c.install - 1)
    with writing(site.telemetry) as connection:
        connection.execute(raised)
    try:
        said = site.type("doctor", "--reconcile")
        assert said.code == 1
        wrong = [line for line in said.out.splitlines() if line.startswith("no")]
        assert wrong == [f"no  install: {site.day} {APP} 1.0.1: the counter says 3, its rows say 2"]
        as_json = site.type("doctor", "--reconcile", "--json")
        assert as_json.code == 1
        (difference,) = as_json.json["differences"]
        assert difference == {
            "app_id": APP,
            "date": str(site.day),
            "counter": "install",
            "subject": "1.0.1",
            "counted": 3,
            "found": 2,
        }
        before = site.type("doctor", "--reconcile", "--to", str(site.day - timedelta(days=1)))
        assert before.code == 0
    finally:
        with writing(site.telemetry) as connection:
            connection.execute(lowered)


def test_it_agrees_while_devices_go_on(site: Site) -> None:
    stop = threading.Event()

    def go_on() -> None:
        number = 100
        while not stop.is_set():
            site.ask(number)
            site.tell(number, "set")
            number += 1

    traffic = threading.Thread(target=go_on)
    traffic.start()
    try:
        for _ in range(2):
            said = site.type("doctor", "--reconcile", "--from", str(site.day))
            assert said.code == 0, said
    finally:
        stop.set()
        traffic.join()


def test_days_of_which_rows_may_be_gone_are_left_out_and_said(site: Site) -> None:
    said = site.type("doctor", "--reconcile", "--from", str(site.day - timedelta(days=9)), "--event-retention", "3d")
    assert said.code == 0
    kept_since = whole_days_since(datetime.now(UTC), timedelta(days=3))
    lines = said.out.splitlines()
    assert f"ok  left out: {9 - (site.day - kept_since).days} days of which not all rows are kept any more" in lines
    assert f"ok  period: {kept_since} to {site.day}, 1 app" in lines
    long_ago = site.type("doctor", "--reconcile", "--from", "2020-01-01", "--to", "2020-01-02")
    assert long_ago.code == 0
    assert "ok  left out: 2 days of which not all rows are kept any more" in long_ago.out.splitlines()
    assert "ok  period" not in long_ago.out


def test_a_period_that_makes_no_sense_is_refused(site: Site) -> None:
    ended = site.type("doctor", "--reconcile", "--from", "2026-03-02", "--to", "2026-03-01")
    assert (ended.code, ended.sentence) == (2, "--from 2026-03-02 is after --to 2026-03-01.")
    alone = site.type("doctor", "--from", "2026-03-02")
    assert (alone.code, alone.sentence) == (2, "--from and --to go with --reconcile.")


def test_where_nothing_is_there_is_nothing_to_compare(tmp_path: Path) -> None:
    ended = new_terminal(tmp_path).type("doctor", "--reconcile", "--data-dir", "data")
    assert ended.code == 1
    assert ended.sentence.endswith("registry.db does not exist, so there is nothing to compare.")
    assert list(tmp_path.iterdir()) == []


def test_a_device_is_told_of_and_forgotten(site: Site) -> None:
    device = device_id_of(2)
    told = site.type("device", "export", device.upper()).json
    assert told["device_id"] == device
    kept = told["apps"][APP]
    assert (kept["device"][0]["custom_id"], len(kept["events"])) == ("ann", 2)
    gone = site.type("device", "forget", device)
    assert gone.code == 0
    assert [line.split() for line in gone.out.splitlines()][1:4] == [["places", "0"], ["devices", "1"], ["events", "2"]]
    for again in ("export", "forget"):
        ended = site.type("device", again, device)
        assert (ended.code, ended.sentence) == (1, f"Nothing is known of the device {device}.")
    assert site.type("doctor", "--reconcile").code == 0


def test_one_app_can_be_asked_to_forget(site: Site) -> None:
    site.ask(3)
    where = ("device", "forget", device_id_of(3), "--json", "--app")
    assert site.type(*where, "com.example.other").code == 1
    gone = site.type(*where, APP).json
    assert (gone["device_id"], gone["erased"]["devices"]) == (device_id_of(3), 1)


def test_what_is_no_device_is_refused(site: Site) -> None:
    ended = site.type("device", "forget", "ann")
    assert (ended.code, ended.sentence) == (2, "'ann' is not the id of a device, which is a UUID.")


def test_a_device_is_forgiven_and_offered_again_what_failed_on_it(site: Site) -> None:
    device_id = device_id_of(900)
    check = {**BASE, "device_id": device_id, "version_name": "1.0.0"}
    offered = site.client.post("/updates", json=check).json()["version"]
    failed = {**check, "version_name": offered, "action": "update_fail"}
    assert site.client.post("/stats", json=failed).json() == {"status": "ok"}
    assert site.client.post("/updates", json=check).json()["error"] == "no_new_version_available"
    held = site.type("device", "held-back", "--app", APP)
    assert held.code == 0
    assert offered in held.out
    forgiven = site.type("device", "forgive", device_id.upper(), "--app", APP)
    assert (forgiven.code, forgiven.out.strip()) == (0, f"Forgot 1 failure of the device {device_id}.")
    assert site.client.post("/updates", json=check).json()["version"] == offered


def test_the_jobs_are_listed_with_when_they_are_due(site: Site) -> None:
    listed = site.type("jobs")
    assert listed.code == 0
    assert "bundle_retention" in listed.out
