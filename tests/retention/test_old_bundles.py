"""Old bundles: which are deleted, which stay, and when a deleted one's name is free again; on both databases."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import RowMapping
from structlog.testing import capture_logs

from capstan.bundles import service as bundles
from capstan.bundles.service import ExternalBundle
from capstan.channels import service as channels
from capstan.db.tables import app_versions, apps, device_pins, manifest
from capstan.devices import service as devices
from capstan.devices.service import Placement
from capstan.jobs.job import Done
from capstan.retention import bundles as retention
from capstan.retention import store as retention_store
from capstan.retention.limits import RETENTION_OFF_SECONDS, deletable_before
from tests.jobs.runs import FreeRun
from tests.public_api.plane import refused
from tests.public_api.world import APP, SYSTEM, World

DEVICE = "00000001-0000-4000-8000-000000000000"
NOW = datetime.now(UTC)
OLD: dict[str, Any] = {"created_at": NOW - timedelta(days=31)}


def delete_old(world: World, *, keep_running_days: int = 30, **run: int) -> Done:
    return retention.delete_old_bundles(world.registry, world.telemetry, keep_running_days, FreeRun(NOW, **run))


def purge(world: World, **run: int) -> Done:
    return retention.purge_deleted_bundles(world.registry, FreeRun(NOW, **run))


def bundle(world: World, name: str, app_id: str = APP) -> RowMapping | None:
    found = [row for row in world.rows(app_versions) if (row["app_id"], row["name"]) == (app_id, name)]
    return found[0] if found else None


def live(world: World) -> set[str]:
    return {row["name"] for row in world.rows(app_versions) if not row["deleted"]}


def link(world: World, channel: str, **asked: Any) -> None:
    with world.registry.write(SYSTEM) as session:
        channels.save(session, SYSTEM, APP, channel, asked)  # type: ignore[arg-type]  # tests say what they like


@pytest.mark.parametrize(
    ("retention_seconds", "before"),
    [
        (0, NOW),
        (2_592_000, NOW - timedelta(days=30)),
        (RETENTION_OFF_SECONDS - 1, NOW - timedelta(seconds=RETENTION_OFF_SECONDS - 1)),
        (RETENTION_OFF_SECONDS, None),
        (-1, None),
    ],
)
def test_the_retention_of_an_app_says_from_which_age_on(retention_seconds: int, before: datetime | None) -> None:
    assert deletable_before(retention_seconds, NOW) == before


@settings(max_examples=50)
@given(st.integers(-10, 2**40))
def test_nothing_that_is_yet_to_come_is_ever_deletable(retention_seconds: int) -> None:
    before = deletable_before(retention_seconds, NOW)
    assert before is None or before <= NOW


def test_old_bundles_that_no_channel_uses_are_deleted_softly(world: World) -> None:
    for name in ("1.0.0", "1.1.0", "1.2.0", "1.3.0"):
        world.add_bundle(name, **OLD)
    world.add_bundle("2.0.0", created_at=NOW - timedelta(days=29))
    link(world, "production", version="1.0.0")
    link(world, "production", rollout_version="1.1.0")
    before = world.app()["revision"]
    done = delete_old(world)
    assert done.detail == {"deleted": 2, "kept_running": 0, "kept_pinned": 0}
    assert live(world) == {"1.0.0", "1.1.0", "2.0.0"}
    assert world.app()["revision"] > before
    entry = world.audit_of("app_versions")[-1]
    assert (entry["actor_type"], "deleted" in entry["changed_fields"]) == ("system", True)


def test_a_deleted_bundles_name_stays_taken(world: World) -> None:
    world.add_bundle("1.0.0", **OLD)
    delete_old(world)
    external = {"external_url": "https://bundles.example/x.zip", "checksum": "0" * 64}
    answer = world.owner.post("/bundle", app_id=APP, version="1.0.0", **external)
    assert refused(answer) == (400, "cannot_create_bundle")


def test_a_retention_of_nothing_deletes_every_unlinked_bundle(world: World) -> None:
    world.alter(apps, {"retention": 0})
    world.add_bundle("1.0.0", created_at=NOW - timedelta(seconds=1))
    assert delete_old(world).detail["deleted"] == 1


def test_each_app_has_its_own_retention(world: World) -> None:
    world.alter(apps, {"retention": 90 * 86400})
    world.add_app("com.demo.other")
    for app_id in (APP, "com.demo.other"):
        world.add_bundle("1.0.0", app_id, **OLD)
    delete_old(world)
    assert bundle(world, "1.0.0") is not None
    kept, gone = bundle(world, "1.0.0"), bundle(world, "1.0.0", "com.demo.other")
    assert kept is not None
    assert gone is not None
    assert (kept["deleted"], gone["deleted"]) == (False, True)


def test_a_bundle_that_devices_still_run_is_kept_and_the_run_says_so(world: World) -> None:
    for name in ("1.0.0", "1.1.0", "1.2.0"):
        world.add_bundle(name, **OLD)
    today = NOW.date()
    world.add_device(DEVICE, running_version="1.0.0", last_seen_on=today - timedelta(days=30))
    # Offered 1.1.0, but still on 1.0.0; and a device of 1.2.0 that was not seen for too long.
    world.add_device(DEVICE.replace("1", "2"), version_name="1.1.0", running_version="1.0.0", last_seen_on=today)
    world.add_device(DEVICE.replace("1", "3"), running_version="1.2.0", last_seen_on=today - timedelta(days=31))
    done = delete_old(world)
    assert done.detail == {"deleted": 2, "kept_running": 1, "kept_pinned": 0, "kept": [f"{APP} 1.0.0"]}
    assert live(world) == {"1.0.0"}


def test_devices_of_another_app_keep_nothing(world: World) -> None:
    world.add_app("com.demo.other")
    world.add_bundle("1.0.0", **OLD)
    world.add_device(DEVICE, "com.demo.other", running_version="1.0.0", last_seen_on=NOW.date())
    assert delete_old(world).detail["deleted"] == 1


def test_with_the_setting_off_running_devices_keep_nothing(world: World) -> None:
    world.add_bundle("1.0.0", **OLD)
    world.add_device(DEVICE, running_version="1.0.0", last_seen_on=NOW.date())
    assert delete_old(world, keep_running_days=0).detail["deleted"] == 1


def test_a_bundle_that_a_device_is_pinned_to_is_kept_and_the_run_says_so(world: World) -> None:
    world.add_bundle("1.0.0", **OLD)
    pin(world, "1.0.0")
    assert delete_old(world).detail == {
        "deleted": 0,
        "kept_running": 0,
        "kept_pinned": 1,
        "kept": [f"{APP} 1.0.0"],
    }


def pin(world: World, name: str) -> None:
    with world.registry.write(SYSTEM) as session:
        devices.place(session, SYSTEM, Placement(APP, DEVICE, bundle=name), pins_allowed=True)


def test_a_bundle_that_is_linked_in_the_last_moment_is_kept(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.add_bundle("1.0.0", **OLD)
    find = retention_store.unlinked_bundles

    def find_then_link(*arguments: Any) -> Any:
        found = find(*arguments)
        link(world, "production", version="1.0.0")
        return found

    monkeypatch.setattr(retention_store, "unlinked_bundles", find_then_link)
    assert delete_old(world).detail["deleted"] == 0
    assert live(world) == {"1.0.0"}


def test_when_devices_cannot_be_asked_nothing_is_deleted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any) -> Any:
        raise OSError("telemetry is away")

    monkeypatch.setattr(retention, "running_versions", fail)
    world.add_bundle("1.0.0", **OLD)
    with pytest.raises(OSError, match="away"):
        delete_old(world)
    assert live(world) == {"1.0.0"}


def test_a_run_that_is_cut_short_goes_on_the_next_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE_SIZE", 2)
    for number in range(5):
        world.add_app(f"com.demo.app{number}")
        world.add_bundle("1.0.0", f"com.demo.app{number}", **OLD)
    assert delete_old(world, slices=3).detail["deleted"] == 3
    assert delete_old(world).detail["deleted"] == 2


GONE: dict[str, Any] = {"deleted": True, "deleted_at": NOW - timedelta(days=91)}


def test_a_bundle_deleted_ninety_days_ago_is_removed_and_its_name_is_free(world: World) -> None:
    world.add_bundle("1.0.0", **GONE)
    world.add_bundle("1.1.0", **{**GONE, "deleted_at": NOW - timedelta(days=89)})
    world.add_bundle("1.2.0")
    assert purge(world).detail == {"purged": 1, "kept": 0}
    assert {row["name"] for row in world.rows(app_versions)} == {"1.1.0", "1.2.0"}
    entry = world.audit_of("app_versions")[-1]
    assert (entry["operation"], entry["actor_type"]) == ("DELETE", "system")
    with world.registry.write(SYSTEM) as session:
        new = ExternalBundle(APP, "1.0.0", "https://bundles.example/1.0.0.zip", "0" * 64)
        bundles.create_external(session, SYSTEM, new)


@pytest.mark.parametrize("column", ["version", "rollout_version"])
def test_a_deleted_bundle_that_a_channel_refers_to_is_never_removed(world: World, column: str) -> None:
    world.add_bundle("1.0.0")
    bundle_id = world.add_bundle("2.0.0")
    link(world, "production", version="1.0.0")
    link(world, "production", **{column: "2.0.0"})
    world.alter(app_versions, GONE)
    with capture_logs() as logs:
        done = purge(world)
    with world.registry.read() as session:
        channel = channels.find(session, APP, "production")
    assert channel is not None
    assert channel[column] == bundle_id
    assert done.detail["kept"] >= 1  # type: ignore[operator]  # a count
    assert [line["log_level"] for line in logs if line["event"] == "a channel refers to a deleted bundle"]


def test_pins_and_files_go_with_the_bundle_and_are_counted(world: World) -> None:
    bundle_id = world.add_bundle("1.0.0")
    pin(world, "1.0.0")
    with world.registry.write(SYSTEM) as session:
        file = {"app_version_id": bundle_id, "file_name": "a.js", "file_hash": "0" * 64, "s3_path": "orgs/a/apps/b/c"}
        session.run(manifest.insert().values(file))
    world.alter(app_versions, GONE)
    assert world.app()["device_pin_count"] == 1
    purge(world)
    assert world.app()["device_pin_count"] == 0
    assert world.rows(device_pins) == []
    assert world.rows(manifest) == []


def test_a_purge_goes_through_all_pages_and_stops_when_told_to(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "PAGE_SIZE", 2)
    for number in range(7):
        world.add_bundle(f"1.{number}.0", **GONE)
    assert purge(world, slices=3).detail["purged"] == 3
    assert purge(world).detail["purged"] == 4
