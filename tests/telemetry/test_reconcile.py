"""Counters compared with their rows: what agrees, what is named when it does not; on both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from sqlalchemy import Engine, Table, delete, insert, update

from capstan.stores import sqlite_file
from capstan.telemetry.reconcile import Count, app_ids, counts
from capstan.telemetry.records import Batch
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.tables import (
    bandwidth_usage,
    daily_bandwidth,
    daily_mau,
    daily_native,
    daily_version,
    device_days,
    events,
    monthly_devices,
)
from capstan.telemetry.writing import writing
from tests.databases import Databases
from tests.telemetry.test_writer import APP, NOW, device_id, event_row, seen_row

DAY = date(2026, 11, 24)
NEXT_DAY_MS = NOW + 86_400_000
OTHER = "com.example.other"


@pytest.fixture
def sink(databases: Databases) -> Iterator[Sink]:
    urls = databases.urls
    sink = SqliteSink(sqlite_file(urls.telemetry)) if urls.kind == "sqlite" else PostgresSink(urls.telemetry)
    yield sink
    sink.close()


def usage_row(number: int, usage: str, version: str = "1.1.0", **said: Any) -> tuple[Any, ...]:
    return event_row(number, usage=usage, usage_version=version, **said)


def a_days_worth() -> Batch:
    """Two devices: one is offered and installs, the other installs unasked and fails; both load."""
    batch = Batch()
    batch.events += [usage_row(1, "get"), usage_row(1, "install"), usage_row(1, "uninstall", "1.0.0")]
    batch.events += [usage_row(2, "install"), usage_row(2, "fail"), event_row(2, "ping")]
    batch.events += [usage_row(1, "get", created_at=NEXT_DAY_MS), usage_row(1, "get", app_id=OTHER)]
    for number in (1, 2):
        batch.seen |= {seen_row(number), seen_row(number, "2026-11-25")}
        batch.add_bandwidth(APP, device_id(number), NOW, 1000 * number)
    batch.add_bandwidth(APP, None, NOW, 5)
    return batch


def found(engine: Engine, day: date = DAY, app_id: str = APP) -> dict[tuple[str, str], tuple[int, int]]:
    return {(one.counter, one.subject): (one.counted, one.logged) for one in counts(engine, app_id, day)}


def wrong(engine: Engine) -> list[Count]:
    return [one for app_id in app_ids(engine) for one in counts(engine, app_id, DAY) if not one.agrees]


def test_each_counter_of_a_day_is_counted_both_ways(telemetry_engine: Engine, sink: Sink) -> None:
    sink.store(a_days_worth())
    both = {key: counted for key, (counted, logged) in found(telemetry_engine).items() if counted == logged != 0}
    assert both == {
        ("mau", ""): 2,
        ("native", "ios 1.0.0"): 2,
        ("get", "1.1.0"): 1,
        ("install", "1.1.0"): 2,
        ("unoffered", "1.1.0"): 1,
        ("uninstall", "1.0.0"): 1,
        ("fail", "1.1.0"): 1,
        ("bandwidth", ""): 3005,
        ("downloads", ""): 3,
    }
    assert wrong(telemetry_engine) == []


def test_days_and_apps_are_kept_apart(telemetry_engine: Engine, sink: Sink) -> None:
    sink.store(a_days_worth())
    next_day = found(telemetry_engine, date(2026, 11, 25))
    assert next_day["get", "1.1.0"] == (1, 1)
    assert next_day["native", "ios 1.0.0"] == (2, 2)
    assert next_day.get(("mau", ""), (0, 0)) == (0, 0)
    assert found(telemetry_engine, app_id=OTHER)["get", "1.1.0"] == (1, 1)
    assert app_ids(telemetry_engine) == [APP, OTHER]


@pytest.mark.parametrize(
    ("table", "column", "counter", "subject"),
    [
        (daily_mau, "mau", "mau", ""),
        (daily_native, "devices", "native", "ios 1.0.0"),
        (daily_version, "get", "get", "1.1.0"),
        (daily_version, "install", "install", "1.1.0"),
        (daily_version, "unoffered", "unoffered", "1.1.0"),
        (daily_version, "fail", "fail", "1.1.0"),
        (daily_bandwidth, "bandwidth", "bandwidth", ""),
        (daily_bandwidth, "downloads", "downloads", ""),
    ],
)
def test_a_counter_that_says_too_much_is_named(
    telemetry_engine: Engine, sink: Sink, table: Table, column: str, counter: str, subject: str
) -> None:
    sink.store(a_days_worth())
    said = found(telemetry_engine)[counter, subject][0]
    with writing(telemetry_engine) as connection:
        of_day = (table.c.app_id == APP, table.c.date == DAY)
        version = (table.c.version_name == subject,) if table is daily_version else ()
        connection.execute(update(table).where(*of_day, *version).values({column: table.c[column] + 7}))
    assert wrong(telemetry_engine) == [Count(counter, subject, said + 7, said)]


@pytest.mark.parametrize(
    ("table", "counters"),
    [
        (events, {"get", "install", "unoffered", "uninstall", "fail"}),
        (monthly_devices, {"mau"}),
        (device_days, {"native"}),
        (bandwidth_usage, {"bandwidth", "downloads"}),
    ],
)
def test_rows_that_are_lost_are_missed(telemetry_engine: Engine, sink: Sink, table: Table, counters: set[str]) -> None:
    sink.store(a_days_worth())
    with writing(telemetry_engine) as connection:
        connection.execute(delete(table).where(table.c.app_id == APP))
    assert {one.counter for one in wrong(telemetry_engine)} == counters
    assert all(one.logged == 0 for one in wrong(telemetry_engine))


def test_rows_without_any_counter_are_named(telemetry_engine: Engine) -> None:
    with writing(telemetry_engine) as connection:
        row = {"app_id": APP, "device_id": device_id(1), "action": "get", "version_name": "1.1.0", "created_at": NOW}
        usage = {"platform": "ios", "plugin_version": "8.0.0", "usage": "get", "usage_version": "1.1.0"}
        connection.execute(insert(events).values({**row, **usage}))
    assert wrong(telemetry_engine) == [Count("get", "1.1.0", 0, 1)]


def test_a_server_that_writes_meanwhile_makes_no_difference(telemetry_engine: Engine, sink: Sink) -> None:
    stop = threading.Event()

    def write() -> None:
        number = 10
        while not stop.is_set():
            batch = Batch()
            batch.events += [usage_row(number, "get"), usage_row(number, "install")]
            batch.seen.add(seen_row(number))
            batch.add_bandwidth(APP, device_id(number), NOW, number)
            sink.store(batch)
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        moments = [wrong(telemetry_engine) for _ in range(30)]
    finally:
        stop.set()
        writer.join()
    assert moments == [[]] * 30
