"""A device is not offered a bundle again that failed on it: over HTTP, on both databases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from capstan.access.principal import SystemPrincipal
from capstan.db.tables import channels
from capstan.rollouts.failures import failures_of_device, forgive, held_back
from capstan.telemetry.tables import failed_bundles
from tests.databases import DatabaseUrls
from tests.server import running_server
from tests.updates.acme import DELTA, LATEST_SECONDS, NOTES, Acme, acme_server, new_device

OPERATOR = SystemPrincipal("test")
UP_TO_DATE = {"error": "no_new_version_available", "message": "No new version available", "kind": "up_to_date"}
TARGET, OTHER = 102, 107
WEEK = timedelta(days=7)


@pytest.fixture(scope="module")
def acme(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    with acme_server(database_urls, tmp_path_factory.mktemp("data")) as acme:
        yield acme


def offered(acme: Acme, device: str, **changes: Any) -> str | None:
    """The version that the device's check is offered; None if it is told that it is up to date."""
    answer = acme.ask(device, "POST", "/updates", **changes)
    assert answer.status_code == 200
    if "version" in answer.json():
        version: str = answer.json()["version"]
        return version
    assert answer.json() == UP_TO_DATE
    return None


def report(acme: Acme, device: str, action: str, **changes: Any) -> None:
    answer = acme.ask(device, "POST", "/stats", **{"version_name": "2.1.0", "action": action, **changes})
    assert answer.json() == {"status": "ok"}


@pytest.mark.parametrize("action", ["update_fail", "set_fail"])
def test_a_bundle_that_could_not_be_run_is_not_offered_to_that_device_again(acme: Acme, action: str) -> None:
    device, other = new_device(), new_device()
    assert offered(acme, device) == "2.1.0"
    report(acme, device, action)
    assert [offered(acme, device) for _ in range(3)] == [None] * 3
    assert offered(acme, other) == "2.1.0"


def test_the_refusal_is_logged_as_any_device_that_is_up_to_date(acme: Acme) -> None:
    device = new_device()
    report(acme, device, "update_fail")
    assert offered(acme, device) is None
    assert "log noNew 2.1.0" in recorded_at_last(acme, device, "log noNew 2.1.0")


def recorded_at_last(acme: Acme, device: str, wanted: str) -> list[str]:
    """What is recorded of a device, at the latest when the records of checks are written."""
    until = time.monotonic() + LATEST_SECONDS
    while wanted not in acme.recorded(device) and time.monotonic() < until:
        time.sleep(0.01)
    return acme.recorded(device)


@pytest.mark.parametrize("build", [{"is_prod": False}, {"is_emulator": True}])
def test_it_holds_for_test_builds_and_emulators_too(acme: Acme, build: dict[str, bool]) -> None:
    device = new_device()
    report(acme, device, "update_fail", **build)
    assert offered(acme, device, **build) is None


@pytest.mark.parametrize("action", ["download_fail", "unzip_fail", "checksum_fail", "low_mem_fail", "app_crash", "set"])
def test_other_reports_do_not_keep_a_bundle_from_a_device(acme: Acme, action: str) -> None:
    device = new_device()
    report(acme, device, action)
    assert offered(acme, device) == "2.1.0"


def test_a_failure_within_a_batch_counts_like_one_alone(acme: Acme) -> None:
    device = new_device()
    base = acme_event(device)
    answer = acme.client.post("/stats", json=[{**base, "action": "ping"}, {**base, "action": "update_fail"}])
    assert [result["status"] for result in answer.json()["results"]] == ["ok", "ok"]
    assert offered(acme, device) is None


def acme_event(device: str) -> dict[str, Any]:
    return {
        "app_id": NOTES,
        "device_id": device,
        "platform": "android",
        "version_name": "2.1.0",
        "version_os": "14",
        "version_build": "2.0.0",
    }


def test_another_bundle_is_offered_at_once(acme: Acme) -> None:
    device = new_device()
    report(acme, device, "update_fail", version_name="3.0.0")
    assert offered(acme, device) == "2.1.0"


def test_a_release_ends_it(acme: Acme) -> None:
    device = new_device()
    report(acme, device, "update_fail")
    assert offered(acme, device) is None
    point(acme, OTHER)
    try:
        lax = {"version_build": "3.0.0"}
        until = time.monotonic() + LATEST_SECONDS
        while offered(acme, device, **lax) != "3.0.0":
            assert time.monotonic() < until
    finally:
        point(acme, TARGET)


def point(acme: Acme, bundle_id: int) -> None:
    with acme.registry.write(OPERATOR) as session:
        session.run(channels.update().where(channels.c.id == 11).values(version=bundle_id))
        session.touch_app(NOTES)


def test_an_operator_ends_it_for_one_device(acme: Acme) -> None:
    device, other = new_device(), new_device()
    for one in (device, other):
        report(acme, one, "update_fail")
    with acme.registry.read() as session:
        assert forgive(session, acme.telemetry, OPERATOR, NOTES, device.upper()) == 1
        assert forgive(session, acme.telemetry, OPERATOR, NOTES, device) == 0
    assert offered(acme, device) == "2.1.0"
    assert offered(acme, other) is None


def test_an_operator_may_forgive_one_bundle_only(acme: Acme) -> None:
    device = new_device()
    for version in ("2.1.0", "3.0.0"):
        report(acme, device, "update_fail", version_name=version)
    with acme.registry.read() as session:
        assert forgive(session, acme.telemetry, OPERATOR, NOTES, device, "3.0.0") == 1
        (left,) = failures_of_device(session, acme.telemetry, OPERATOR, NOTES, device, WEEK)
    assert (left.bundle_id, left.bundle) == (TARGET, "2.1.0")
    assert offered(acme, device) is None


def test_operators_see_how_many_devices_a_bundle_is_kept_from(acme: Acme) -> None:
    with acme.registry.read() as session:
        before = {one.bundle: one.devices for one in held_back(session, acme.telemetry, OPERATOR, DELTA, WEEK)}
    for device in (new_device(), new_device()):
        for _ in range(3):
            report(acme, device, "update_fail", app_id=DELTA)
    report(acme, new_device(), "update_fail", app_id=DELTA, version_name="2.2.0")
    with acme.registry.read() as session:
        held = held_back(session, acme.telemetry, OPERATOR, DELTA, WEEK)
    assert before == {}
    assert [(one.bundle, one.devices) for one in held] == [("2.1.0", 2), ("2.2.0", 1)]


def test_a_failure_that_is_sent_again_does_not_undo_a_pardon(acme: Acme) -> None:
    device = new_device()
    stamped = {"timestamp": 1_795_510_800_000}
    report(acme, device, "update_fail", **stamped)
    with acme.registry.read() as session:
        forgive(session, acme.telemetry, OPERATOR, NOTES, device)
    report(acme, device, "update_fail", **stamped)
    assert offered(acme, device) == "2.1.0"


def test_after_its_time_a_failure_is_forgotten(acme: Acme) -> None:
    device = new_device()
    report(acme, device, "update_fail")
    long_ago = int((time.time() - WEEK.total_seconds() - 1) * 1000)
    with acme.telemetry.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        connection.execute(
            failed_bundles.update().where(failed_bundles.c.device_id == device).values(failed_at=long_ago)
        )
    assert offered(acme, device) == "2.1.0"


def test_when_failures_cannot_be_read_updates_go_on(acme: Acme) -> None:
    device = new_device()
    report(acme, device, "update_fail")
    rename(acme, "failed_bundles", "failed_bundles_away")
    try:
        assert offered(acme, device) == "2.1.0"
    finally:
        rename(acme, "failed_bundles_away", "failed_bundles")
    assert offered(acme, device) is None


def rename(acme: Acme, old: str, new: str) -> None:
    with acme.telemetry.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        connection.execute(text(f"alter table {old} rename to {new}"))


def test_a_server_that_starts_knows_what_failed_before(acme: Acme, database_urls: DatabaseUrls, tmp_path: Path) -> None:
    device = new_device()
    report(acme, device, "update_fail")
    with running_server({**database_urls.flags, "data_dir": str(tmp_path)}) as second:
        answer = acme.client.post(f"{second}/updates", json=acme_check(device))
    assert answer.json() == UP_TO_DATE


def acme_check(device: str) -> dict[str, Any]:
    return {**acme_event(device), "version_name": "2.0.0", "plugin_version": "8.47.0"}


def test_a_failure_that_another_process_took_is_known_within_moments(
    acme: Acme, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    device = new_device()
    with running_server({**database_urls.flags, "data_dir": str(tmp_path)}) as second:
        assert acme.client.post(f"{second}/updates", json=acme_check(device)).json()["version"] == "2.1.0"
        report(acme, device, "update_fail")
        until = time.monotonic() + LATEST_SECONDS
        while acme.client.post(f"{second}/updates", json=acme_check(device)).json() != UP_TO_DATE:
            assert time.monotonic() < until
            time.sleep(0.02)


def test_with_the_memory_off_a_bundle_is_offered_again_and_again(
    acme: Acme, database_urls: DatabaseUrls, tmp_path: Path
) -> None:
    device = new_device()
    flags = {**database_urls.flags, "data_dir": str(tmp_path), "failed_bundle_memory": "0"}
    with running_server(flags) as second:
        event = {**acme_event(device), "action": "update_fail"}
        assert acme.client.post(f"{second}/stats", json=event).json() == {"status": "ok"}
        assert acme.client.post(f"{second}/updates", json=acme_check(device)).json()["version"] == "2.1.0"
    with acme.registry.read() as session:
        assert failures_of_device(session, acme.telemetry, OPERATOR, NOTES, device, WEEK) == []
