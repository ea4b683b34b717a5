"""A bad bundle rolls out to real devices of a running server, and is stopped by what they report; on both databases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from capstan.access.principal import SystemPrincipal
from capstan.channels import service as channels
from capstan.channels.asked import Asked
from capstan.jobs import service
from capstan.rollouts.service import watch_rollouts
from tests.databases import DatabaseUrls
from tests.jobs.runs import FreeRun
from tests.updates.acme import LATEST_SECONDS, NOTES, Acme, acme_server, new_device

OPERATOR = SystemPrincipal("test")


@pytest.fixture(scope="module")
def acme(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    with acme_server(database_urls, tmp_path_factory.mktemp("data")) as acme:
        yield acme


def set_channel(acme: Acme, **asked: Any) -> None:
    with acme.registry.write(OPERATOR) as session:
        channels.save(session, OPERATOR, NOTES, "production", Asked(**asked))  # type: ignore[typeddict-item]  # tests say what they like


def offered(acme: Acme, device: str) -> str | None:
    version: str | None = acme.ask(device, "POST", "/updates").json().get("version")
    return version


def becomes_offered(acme: Acme, device: str, version: str) -> None:
    until = time.monotonic() + LATEST_SECONDS
    while offered(acme, device) != version:
        assert time.monotonic() < until
        time.sleep(0.01)


def report(acme: Acme, device: str, action: str) -> None:
    answer = acme.ask(device, "POST", "/stats", version_name="3.0.0", action=action)
    assert answer.json() == {"status": "ok"}


def test_a_bundle_that_breaks_devices_is_taken_from_all_that_do_not_run_it_yet(acme: Acme) -> None:
    set_channel(acme, disable_auto_update="none", rollout_version="3.0.0", rollout_percentage_bps=10_000)
    set_channel(acme, rollout_enabled=True, auto_pause_enabled=True, auto_pause_failure_rate_bps=1000)
    waiting = new_device()
    becomes_offered(acme, waiting, "3.0.0")
    for _ in range(10):
        report(acme, new_device(), "set")
    for _ in range(3):
        crashing = new_device()
        report(acme, crashing, "set")
        report(acme, crashing, "app_crash_native")
    for _ in range(3):
        report(acme, new_device(), "update_fail")
    done = watch_rollouts(acme.registry, acme.telemetry, FreeRun(datetime.now(UTC)))
    assert done.detail == {"checked": 1, "triggered": 1, "channels": [f"{NOTES} production"]}
    becomes_offered(acme, waiting, "2.1.0")
    with acme.registry.read() as session:
        channel = channels.find(session, NOTES, "production")
    assert channel is not None
    assert channel["rollout_pause_reason"] == (
        "Auto-pause pause for production rollout 3.0.0: fail 3750bps, confidence lower bound 1848bps, "
        "threshold 1000bps, attempts 16."
    )


def test_a_running_server_looks_after_its_jobs(acme: Acme) -> None:

    until = time.monotonic() + LATEST_SECONDS
    while True:
        with acme.registry.read() as session:
            names = {run.name for run in service.last_runs(session)}
        if len(names) == 9 or time.monotonic() > until:
            break
        time.sleep(0.02)
    assert names == {
        "audit_cleanup",
        "auto_pause",
        "bundle_purge",
        "bundle_retention",
        "device_cleanup",
        "event_cleanup",
        "leftovers",
        "object_cleanup",
        "override_cleanup",
    }
