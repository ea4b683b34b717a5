"""What is kept for a time, then forgotten: places of devices, audit rows, events, device rows; on both databases."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, Table, insert, select

from capstan.db.session import Registry
from capstan.db.tables import apps, audit_logs, channel_devices, channel_self_choices, channels, device_pins
from capstan.retention import records
from capstan.retention.limits import Limits
from capstan.retention.records import trim
from capstan.telemetry.days import HOUR_MS
from capstan.telemetry.tables import (
    bandwidth_usage,
    daily_version,
    device_days,
    event_stamps,
    events,
    failed_bundles,
    monthly_devices,
    unknown_app_events,
)
from capstan.telemetry.tables import devices as device_rows
from tests.jobs.runs import FreeRun
from tests.public_api.world import APP, ORG, SYSTEM, World, epoch_ms

NOW = datetime.now(UTC)
DAY = timedelta(days=1)
LIMITS = Limits(
    keep_running_days=30,
    events=90 * DAY,
    devices=90 * DAY,
    overrides=90 * DAY,
    audit=90 * DAY,
    failures=7 * DAY,
)


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "SLICE", 3)


def device(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def fill(world: World, table: Table, rows: list[dict[str, Any]]) -> None:
    with world.registry.write(SYSTEM) as session:
        session.run(insert(table), rows)


def fill_telemetry(engine: Engine, table: Table, rows: list[dict[str, Any]]) -> None:
    with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        connection.execute(insert(table), rows)


def stored(engine: Engine, table: Table, column: str) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.execute(select(table.c[column]).order_by(table.c[column])).scalars())


def place_devices(world: World, ages: dict[int, int]) -> None:
    """A channel and a bundle, with an override and a pin of each device, so many days old."""
    bundle_id = world.add_bundle("1.0.0")
    channel = world.owner.post("/channel", app_id=APP, channel="beta")
    assert channel.status_code == 200
    (row,) = world.rows(channels)
    moments = {number: NOW - age * DAY for number, age in ages.items()}
    fill(
        world,
        channel_devices,
        [
            {
                "app_id": APP,
                "device_id": device(number),
                "channel_id": row["id"],
                "owner_org": ORG,
                "created_at": moment,
                "updated_at": moment,
            }
            for number, moment in moments.items()
        ],
    )
    fill(
        world,
        device_pins,
        [
            {"app_id": APP, "device_id": device(number), "app_version_id": bundle_id, "updated_at": moment}
            for number, moment in moments.items()
        ],
    )
    world.alter(apps, {"channel_device_count": len(ages), "device_pin_count": len(ages)})


def test_overrides_and_pins_not_written_for_long_are_removed_and_counted(world: World) -> None:
    place_devices(world, {1: 91, 2: 92, 3: 93, 4: 94, 5: 89, 6: 0})
    done = records.delete_old_overrides(world.registry, LIMITS, FreeRun(NOW))
    assert done.detail == {"overrides": 4, "pins": 4}
    for table in (channel_devices, device_pins):
        assert {row["device_id"] for row in world.rows(table)} == {device(5), device(6)}
    app = world.app()
    assert (app["channel_device_count"], app["device_pin_count"]) == (2, 2)


def test_an_app_without_old_places_is_not_touched(world: World) -> None:
    place_devices(world, {1: 1})
    revision = world.app()["revision"]
    assert records.delete_old_overrides(world.registry, LIMITS, FreeRun(NOW)).detail == {"overrides": 0, "pins": 0}
    assert world.app()["revision"] == revision


def test_silent_devices_are_forgotten_with_the_channel_that_they_chose_themselves(world: World) -> None:
    place_devices(world, {})
    (channel,) = world.rows(channels)
    today = NOW.date()
    for number, age in enumerate((91, 95, 92, 93, 90, 0)):
        world.add_device(device(number), last_seen_on=today - age * DAY)
    # Device 7 was forgotten earlier, device 4 is seen now and then, and device 1 has just chosen anew.
    for number, age in ((0, 95), (1, 1), (4, 300), (7, 95), (8, 95)):
        choice = {
            "app_id": APP,
            "device_id": device(number),
            "channel_id": channel["id"],
            "updated_at": NOW - age * DAY,
        }
        fill(world, channel_self_choices, [choice])
    world.alter(apps, {"channel_self_count": 5})
    done = records.delete_silent_devices(world.registry, world.telemetry, LIMITS, FreeRun(NOW))
    assert done.detail == {"devices": 4, "choices": 3}
    assert stored(world.telemetry, device_rows, "device_id") == [device(4), device(5)]
    assert {row["device_id"] for row in world.rows(channel_self_choices)} == {device(1), device(4)}
    assert world.app()["channel_self_count"] == 2


def test_devices_of_several_apps_are_all_looked_at(world: World) -> None:
    long_ago = NOW.date() - 200 * DAY
    for app_id in ("com.demo.app", "com.demo.b", "com.demo.c"):
        for number in range(4):
            world.add_device(device(number), app_id, last_seen_on=long_ago)
    done = records.delete_silent_devices(world.registry, world.telemetry, LIMITS, FreeRun(NOW))
    assert done.detail["devices"] == 12


def test_old_audit_rows_are_forgotten(registry: Registry) -> None:
    row = {"table_name": "apps", "record_id": APP, "operation": "UPDATE", "org_id": ORG, "actor_type": "system"}
    ages = (200, 150, 100, 95, 91, 89, 1)
    with registry.write(SYSTEM) as session:
        session.run(insert(audit_logs), [{**row, "created_at": NOW - age * DAY} for age in ages])
    assert records.delete_old_audit_rows(registry, LIMITS, FreeRun(NOW)).detail == {"rows": 5}
    with registry.read() as session:
        kept = session.rows(select(audit_logs.c.created_at).order_by(audit_logs.c.id))
    assert [row["created_at"] for row in kept] == [NOW - 89 * DAY, NOW - DAY]


EVENT = {"action": "ping", "version_name": "1.0.0", "platform": "ios", "plugin_version": "8.0.0"}


def test_old_events_go_and_the_counters_stay(world: World) -> None:
    ages = (300, 200, 100, 95, 91, 90.5, 89, 1)
    moments = [epoch_ms(NOW - age * DAY) for age in ages]
    fill_telemetry(
        world.telemetry,
        events,
        [{"app_id": APP, "device_id": device(1), "created_at": moment, **EVENT} for moment in moments],
    )
    day = {"app_id": APP, "date": (NOW - 300 * DAY).date(), "version_name": "1.0.0"}
    counts = {"get": 5, "fail": 0, "install": 2, "uninstall": 0}
    fill_telemetry(world.telemetry, daily_version, [{**day, **counts}])
    done = records.delete_old_events(world.telemetry, LIMITS, FreeRun(NOW))
    assert done.detail["events"] == 6
    assert done.notable
    assert stored(world.telemetry, events, "created_at") == sorted(moments[-2:])
    assert stored(world.telemetry, daily_version, "get") == [5]


def test_everything_else_that_only_served_the_log_goes_too(world: World) -> None:
    old, young = epoch_ms(NOW - 91 * DAY), epoch_ms(NOW - DAY)
    long_ago, lately = (NOW - 130 * DAY).date(), (NOW - DAY).date()
    telemetry = world.telemetry
    visit = {"version_name": "1.0.0", "platform": "ios", "plugin_version": "8.0.0", "device_id": device(1)}
    fill_telemetry(telemetry, unknown_app_events, [{"app_id": APP, "created_at": at, **visit} for at in (old, young)])
    download = {"app_id": APP, "device_id": None, "bytes": 10, "downloads": 1}
    fill_telemetry(telemetry, bandwidth_usage, [{**download, "created_at": at} for at in (old, young)])
    hour = epoch_ms(NOW) // HOUR_MS
    fill_telemetry(telemetry, event_stamps, [{"stamp": age, "hour": hour - age} for age in range(47, 60)])
    seen = {"platform": "ios", "version_build": "1.0.0"}
    for app_id in (APP, "com.demo.b", "com.demo.c"):
        for day in (long_ago, lately):
            keys = [{"app_id": app_id, "device_id": device(number)} for number in range(5)]
            fill_telemetry(telemetry, device_days, [{**key, **seen, "date": day} for key in keys])
            month = {"month": day.replace(day=1), "first_day": day}
            fill_telemetry(telemetry, monthly_devices, [{**key, **month} for key in keys])
    for number, age in enumerate((6, 8, 9, 10, 11)):
        failure = {"app_id": APP, "device_id": device(number), "bundle_id": 1, "failed_at": epoch_ms(NOW - age * DAY)}
        fill_telemetry(telemetry, failed_bundles, [failure])
    done = records.delete_old_events(telemetry, LIMITS, FreeRun(NOW))
    assert done.detail == {
        "events": 0,
        "unknown_app_events": 1,
        "downloads": 1,
        "stamps": 11,
        "failures": 4,
        "first_seen": 30,
    }
    assert stored(telemetry, event_stamps, "stamp") == [47, 48]
    assert set(stored(telemetry, device_days, "date")) == {lately}
    assert set(stored(telemetry, monthly_devices, "first_day")) == {lately}


def test_the_month_that_is_still_counted_keeps_its_first_days(world: World) -> None:
    limits = Limits(keep_running_days=0, events=DAY, devices=DAY, overrides=DAY, audit=DAY, failures=DAY)
    last_of_month = datetime(2026, 3, 31, 12, tzinfo=UTC)
    first = datetime(2026, 3, 1, tzinfo=UTC).date()
    row = {"app_id": APP, "device_id": device(1), "month": first, "first_day": first}
    fill_telemetry(world.telemetry, monthly_devices, [row])
    records.delete_old_events(world.telemetry, limits, FreeRun(last_of_month))
    assert stored(world.telemetry, monthly_devices, "first_day") == [first]


def test_a_clean_up_that_finds_nothing_is_not_worth_telling(world: World) -> None:
    assert not records.delete_old_events(world.telemetry, LIMITS, FreeRun(NOW)).notable


@pytest.mark.parametrize("slices", [1, 2, 5])
def test_a_clean_up_that_is_cut_short_leaves_the_rest_to_the_next_one(world: World, slices: int) -> None:
    moment = epoch_ms(NOW - 100 * DAY)
    rows = [{"app_id": APP, "device_id": device(1), "created_at": moment, **EVENT} for _ in range(20)]
    fill_telemetry(world.telemetry, events, rows)
    first = records.delete_old_events(world.telemetry, LIMITS, FreeRun(NOW, slices=slices))
    assert first.detail["events"] == 3 * slices
    second = records.delete_old_events(world.telemetry, LIMITS, FreeRun(NOW))
    assert second.detail["events"] == 20 - 3 * slices


@settings(max_examples=60)
@given(st.lists(st.integers(0, 20), max_size=40), st.integers(0, 20), st.integers(1, 7))
def test_a_trimmed_log_keeps_everything_young_and_nothing_old_that_lies_before_it(
    moments: list[int], before: int, size: int
) -> None:
    log = dict(enumerate(moments, start=1))
    removed = trim(*in_memory(log, before, size), before, FreeRun(NOW))
    assert removed == len(moments) - len(log)
    assert [moment for moment in log.values() if moment >= before] == [one for one in moments if one >= before]
    if moments == sorted(moments):
        assert all(moment >= before for moment in log.values())


def in_memory(
    log: dict[int, int], before: int, size: int
) -> tuple[Callable[[int], list[tuple[int, int]]], Callable[[int, int], int]]:
    """A log as `trim` wants it: how its rows are read and removed."""

    def rows_after(after: int) -> list[tuple[int, int]]:
        return [(key, log[key]) for key in sorted(log) if key > after][:size]

    def delete(first: int, last: int) -> int:
        old = [key for key in log if first <= key <= last and log[key] < before]
        for key in old:
            del log[key]
        return len(old)

    return rows_after, delete
