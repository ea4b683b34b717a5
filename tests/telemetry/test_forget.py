"""A device is erased: nothing of it is left, nothing else changes, and the counters can still be checked."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from sqlalchemy import Engine, select

from capstan.stores import sqlite_file
from capstan.telemetry.device_history import history
from capstan.telemetry.forget import SLICE, clear_custom_ids, forget_device
from capstan.telemetry.records import Batch
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.tables import bandwidth_usage, devices, events, forgotten_counts, telemetry
from tests.databases import Databases
from tests.statistics.invariants import counters_equal_the_log, rows
from tests.statistics.traffic import TRAFFIC, Step, device_id_of, play
from tests.telemetry.test_writer import APP, NOW, device_row, event_row, seen_row

FORGOTTEN = device_id_of(1)
COUNTERS = [table for table in telemetry.sorted_tables if table.name.startswith("daily_")]
OF_DEVICES = [table for table in telemetry.sorted_tables if "device_id" in table.c]
OTHER = "com.example.other"


def sink_of(databases: Databases) -> Sink:
    urls = databases.urls
    return SqliteSink(sqlite_file(urls.telemetry)) if urls.kind == "sqlite" else PostgresSink(urls.telemetry)


def store(databases: Databases, batch: Batch) -> None:
    sink = sink_of(databases)
    try:
        sink.store(batch)
    finally:
        sink.close()


def of_others(engine: Engine, device_id: str) -> dict[str, list[Any]]:
    return {
        table.name: [row for row in rows(engine, table) if row["device_id"] not in (device_id, None)]
        for table in OF_DEVICES
    }


def counted(engine: Engine) -> dict[str, list[Any]]:
    return {table.name: rows(engine, table) for table in COUNTERS}


@settings(max_examples=20, deadline=None)
@given(steps=TRAFFIC)
def test_nothing_of_a_device_is_left_and_the_counters_stay(shared_databases: Databases, steps: list[Step]) -> None:
    engine, sink = shared_databases.telemetry, sink_of(shared_databases)
    try:
        play(steps, sink, "hourly")
        before = counted(engine), of_others(engine, FORGOTTEN)
        known = history(engine, FORGOTTEN)
        erased = forget_device(engine, FORGOTTEN)
        assert bool(erased.total) == bool(known)
        assert history(engine, FORGOTTEN) == {}
        assert (counted(engine), of_others(engine, FORGOTTEN)) == before
        counters_equal_the_log(engine)
        assert forget_device(engine, FORGOTTEN).total == 0
        play(steps, sink, "hourly")
        forget_device(engine, FORGOTTEN)
        counters_equal_the_log(engine)
    finally:
        sink.close()
        shared_databases.empty()


def full_batch(app_id: str = APP) -> Batch:
    """A device's traces in every table, and another device's."""
    batch = Batch()
    for number in (1, 2):
        batch.add_device(device_row(number, app_id=app_id, custom_id=f"person {number}"))
        batch.events.append(event_row(number, "set", usage="install", usage_version="1.1.0", app_id=app_id))
        batch.add_hourly(event_row(number, "noNew", hour=500_000, app_id=app_id))
        batch.seen.add((app_id, *seen_row(number)[1:]))
        batch.add_bandwidth(app_id, device_id_of(number), NOW, 100)
        batch.add_unknown_app(("com.example.gone", device_id_of(number), "1.0.0", "ios", "8.0.0", NOW))
        failure = event_row(number, "set_fail", app_id=app_id)
        batch.events.append(failure)
        batch.add_failed(failure, 7)
    return batch


def test_every_table_that_names_devices_is_emptied_of_it(databases: Databases) -> None:
    store(databases, full_batch())
    for table in OF_DEVICES:
        assert FORGOTTEN in {row["device_id"] for row in rows(databases.telemetry, table)}, table.name
    erased = forget_device(databases.telemetry, FORGOTTEN)
    assert (erased.devices, erased.events, erased.active_days, erased.failed_bundles) == (1, 3, 1, 1)
    assert (erased.downloads, erased.unknown_app_events) == (1, 1)
    for table in OF_DEVICES:
        left = {row["device_id"] for row in rows(databases.telemetry, table)}
        assert FORGOTTEN not in left, table.name
        assert device_id_of(2) in left, table.name
    assert sorted(row["bytes"] for row in rows(databases.telemetry, bandwidth_usage)) == [100, 100]


def test_what_is_kept_of_the_forgotten_names_nobody(databases: Databases) -> None:
    store(databases, full_batch())
    forget_device(databases.telemetry, FORGOTTEN)
    kept = {(row["counter"], row["subject"]): row["amount"] for row in rows(databases.telemetry, forgotten_counts)}
    assert kept == {
        ("install", "1.1.0"): 1,
        ("unoffered", "1.1.0"): 1,
        ("mau", ""): 1,
        ("native", "ios 1.0.0"): 1,
    }


def test_one_app_can_be_asked_to_forget(databases: Databases) -> None:
    store(databases, full_batch())
    store(databases, full_batch(OTHER))
    forget_device(databases.telemetry, FORGOTTEN, OTHER)
    assert history(databases.telemetry, FORGOTTEN).keys() == {APP, "com.example.gone"}
    assert history(databases.telemetry, FORGOTTEN, OTHER) == {}


def test_a_long_log_goes_in_slices(databases: Databases) -> None:
    batch = Batch()
    batch.events += [event_row(1, usage="get", usage_version="1.1.0") for _ in range(2 * SLICE + 1)]
    store(databases, batch)
    assert forget_device(databases.telemetry, FORGOTTEN).events == 2 * SLICE + 1
    assert rows(databases.telemetry, events) == []
    counters_equal_the_log(databases.telemetry)


def test_everything_that_is_kept_of_a_device_can_be_told(databases: Databases) -> None:
    store(databases, full_batch())
    told = history(databases.telemetry, FORGOTTEN)
    assert {name: len(kept) for name, kept in told[APP].items()} == {
        "device": 1,
        "events": 3,
        "active_days": 1,
        "active_months": 1,
        "failed_bundles": 1,
        "downloads": 1,
    }
    assert told[APP]["device"][0]["custom_id"] == "person 1"
    assert told["com.example.gone"].keys() == {"requests_of_unknown_apps"}


def test_custom_ids_are_removed_page_by_page(databases: Databases) -> None:
    batch = Batch()
    for number in range(5):
        batch.add_device(device_row(number, custom_id="" if number == 2 else f"person {number}"))
    store(databases, batch)
    pages = []
    after = ("", "")
    while page := clear_custom_ids(databases.telemetry, after, 3):
        count, after = page
        pages.append(count)
    assert pages == [3, 1]
    with databases.telemetry.connect() as connection:
        assert set(connection.execute(select(devices.c.custom_id)).scalars()) == {""}
