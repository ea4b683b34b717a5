"""The writer and its sinks, on both databases: what is durable, what is counted, what happens when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine, Table, func, select, text

from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.stores import sqlite_file
from capstan.telemetry.records import Batch
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.tables import (
    daily_mau,
    daily_native,
    daily_version,
    device_days,
    devices,
    events,
    monthly_devices,
    telemetry,
)
from capstan.telemetry.writer import TelemetryUnavailableError, Writer
from tests.databases import DatabaseUrls

APP = "com.example.app"
DAY = "2026-11-24"
NOW = 1_795_510_800_000


@pytest.fixture
def engine(database_urls: DatabaseUrls) -> Iterator[Engine]:
    engine = open_engine(database_urls.telemetry)
    migrate(engine, "telemetry")
    yield engine
    with engine.begin() as connection:
        for table in telemetry.sorted_tables:
            connection.execute(table.delete())
    engine.dispose()


def sink_of(urls: DatabaseUrls) -> Sink:
    return SqliteSink(sqlite_file(urls.telemetry)) if urls.kind == "sqlite" else PostgresSink(urls.telemetry)


@pytest.fixture
def sink(database_urls: DatabaseUrls, engine: Engine) -> Iterator[Sink]:
    sink = sink_of(database_urls)
    yield sink
    sink.close()


def device_id(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


def device_row(number: int, **said: Any) -> tuple[Any, ...]:
    row = {
        "app_id": APP,
        "device_id": device_id(number),
        "version_name": "1.0.0",
        "running_version": "1.0.0",
        "offered_version": None,
        "offered_at": None,
        "platform": "ios",
        "plugin_version": "8.45.0",
        "os_version": "17.4",
        "version_build": "1.0.0",
        "custom_id": "",
        "is_prod": True,
        "is_emulator": False,
        "install_source": None,
        "default_channel": None,
        "key_id": None,
        "country_code": None,
        "created_at": NOW,
        "updated_at": NOW,
        "last_seen_on": DAY,
    }
    return tuple((row | said).values())


def event_row(number: int, action: str = "get", **said: Any) -> tuple[Any, ...]:
    row = {
        "app_id": APP,
        "device_id": device_id(number),
        "action": action,
        "version_name": "1.1.0",
        "metadata": None,
        "created_at": NOW,
        "platform": "ios",
        "country_code": None,
        "plugin_version": "8.45.0",
        "usage": None,
        "usage_version": None,
        "channel_id": None,
        "channel_name": None,
        "hour": None,
        "count": 1,
    }
    return tuple((row | said).values())


def seen_row(number: int, day: str = DAY, build: str = "1.0.0") -> tuple[str, str, str, str, str, str]:
    return (APP, device_id(number), day, f"{day[:8]}01", "ios", build)


def rows(engine: Engine, table: Table) -> list[dict[str, Any]]:
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(select(table)).mappings()]


def stored_device(engine: Engine, sink: Sink, *said: tuple[Any, ...]) -> dict[str, Any]:
    for row in said:
        batch = Batch()
        batch.add_device(row)
        sink.store(batch)
    (stored,) = rows(engine, devices)
    return stored


def test_a_device_row_keeps_what_a_later_contact_does_not_say(engine: Engine, sink: Sink) -> None:
    stored = stored_device(
        engine,
        sink,
        device_row(1, custom_id="ann", install_source="testflight", default_channel="beta", offered_version="2.0.0"),
        device_row(1, updated_at=NOW + 5, os_version="18.0"),
    )
    assert (stored["custom_id"], stored["install_source"], stored["offered_version"]) == ("ann", "testflight", "2.0.0")
    assert stored["default_channel"] is None
    assert (stored["os_version"], stored["created_at"], stored["updated_at"]) == ("18.0", NOW, NOW + 5)


def test_updated_at_moves_only_when_something_changed(engine: Engine, sink: Sink) -> None:
    stored = stored_device(engine, sink, device_row(1), device_row(1, updated_at=NOW + 9, last_seen_on="2026-11-25"))
    assert stored["updated_at"] == NOW
    assert stored["last_seen_on"].isoformat() == "2026-11-25"


def test_two_contacts_of_a_device_in_one_batch_are_one_row(engine: Engine, sink: Sink) -> None:
    batch = Batch()
    batch.add_device(device_row(1, custom_id="ann"))
    batch.add_device(device_row(1, version_name="2.0.0"))
    sink.store(batch)
    (stored,) = rows(engine, devices)
    assert (stored["custom_id"], stored["version_name"]) == ("ann", "2.0.0")


def test_a_device_counts_once_a_month_on_its_first_day(engine: Engine, sink: Sink) -> None:
    for day in (DAY, DAY, "2026-11-25", "2026-12-01"):
        batch = Batch()
        batch.seen.add(seen_row(1, day))
        batch.seen.add(seen_row(2, day))
        sink.store(batch)
    counted = {row["date"].isoformat(): row["mau"] for row in rows(engine, daily_mau)}
    assert counted == {DAY: 2, "2026-12-01": 2}
    assert len(rows(engine, monthly_devices)) == 4
    native = {row["date"].isoformat(): row["devices"] for row in rows(engine, daily_native)}
    assert native == {DAY: 2, "2026-11-25": 2, "2026-12-01": 2}
    assert len(rows(engine, device_days)) == 6


@pytest.mark.parametrize("size", [1, 63, 64, 65, 200])
def test_version_counters_say_what_the_log_says(engine: Engine, sink: Sink, size: int) -> None:
    batch = Batch()
    for number in range(size):
        usage = ("get", "install", "fail", "uninstall", None)[number % 5]
        batch.events.append(event_row(number, usage=usage, usage_version="1.1.0" if usage else None))
    sink.store(batch)
    assert len(rows(engine, events)) == size
    counted = rows(engine, daily_version)
    for usage in ("get", "install", "fail", "uninstall"):
        with engine.connect() as connection:
            logged = connection.execute(select(func.count()).where(events.c.usage == usage)).scalar()
        assert sum(row[usage] for row in counted) == logged


def test_an_answer_that_repeats_within_the_hour_is_one_row_with_a_count(engine: Engine, sink: Sink) -> None:
    for count in (1, 1, 3):
        batch = Batch()
        batch.add_hourly(event_row(1, "noNew", hour=500_000, count=count))
        batch.add_hourly(event_row(1, "noNew", hour=500_000, count=1))
        batch.add_hourly(event_row(1, "noNew", hour=500_001, count=1))
        sink.store(batch)
    counted = {row["hour"]: row["count"] for row in rows(engine, events)}
    assert counted == {500_000: 8, 500_001: 3}


def test_two_writers_of_the_same_devices_neither_block_nor_count_twice(
    engine: Engine, database_urls: DatabaseUrls
) -> None:
    async def write(offset: int) -> None:
        writer = Writer(sink_of(database_urls))
        for start in range(0, 200, 20):
            for number in range(start, start + 20):
                writer.batch.seen.add(seen_row(number))
                writer.batch.add_device(device_row((number * 7 + offset) % 200))
            await writer.durable(writer.failures)
        await writer.stop()

    async def both() -> None:
        await asyncio.gather(write(0), write(100))

    asyncio.run(both())
    assert sum(row["mau"] for row in rows(engine, daily_mau)) == 200
    assert len(rows(engine, devices)) == 200


def test_what_was_awaited_is_there_before_the_await_returns(engine: Engine, database_urls: DatabaseUrls) -> None:
    async def check() -> int:
        writer = Writer(sink_of(database_urls))
        writer.batch.events.append(event_row(1))
        await writer.durable(writer.failures)
        found = len(rows(engine, events))
        await writer.stop()
        return found

    assert asyncio.run(check()) == 1


def test_stopping_commits_what_nobody_waited_for(engine: Engine, database_urls: DatabaseUrls) -> None:
    async def check() -> None:
        writer = Writer(sink_of(database_urls))
        writer.batch.events.append(event_row(1))
        writer.written_soon()
        await writer.stop()

    asyncio.run(check())
    assert len(rows(engine, events)) == 1


def test_a_failed_commit_is_told_leaves_nothing_and_the_next_one_works(
    engine: Engine, database_urls: DatabaseUrls
) -> None:
    async def check() -> tuple[int, int]:
        writer = Writer(sink_of(database_urls))
        with engine.begin() as connection:
            connection.execute(text("alter table daily_version rename to daily_version_away"))
        try:
            writer.batch.events.append(event_row(1, usage="get", usage_version="1.1.0"))
            with pytest.raises(TelemetryUnavailableError):
                await writer.durable(writer.failures)
            stored_after_failure = len(rows(engine, events))
        finally:
            with engine.begin() as connection:
                connection.execute(text("alter table daily_version_away rename to daily_version"))
        writer.batch.events.append(event_row(2, usage="get", usage_version="1.1.0"))
        await writer.durable(writer.failures)
        failures = writer.failures
        await writer.stop()
        return stored_after_failure, failures

    assert asyncio.run(check()) == (0, 1)
    assert [row["device_id"] for row in rows(engine, events)] == [device_id(2)]


def test_a_stamped_event_is_kept_once_however_often_it_comes(engine: Engine, sink: Sink) -> None:
    for _ in range(2):
        batch = Batch()
        for _ in range(2):
            batch.add_stamped(77, [event_row(1, usage="install", usage_version="1.1.0"), event_row(1, "uninstall")])
        batch.add_stamped(78, [event_row(1, "ping")])
        sink.store(batch)
    assert sorted(row["action"] for row in rows(engine, events)) == ["get", "ping", "uninstall"]
    assert [row["install"] for row in rows(engine, daily_version)] == [1]


def test_a_stamped_event_that_leaves_no_row_does_not_spoil_the_batch(engine: Engine, sink: Sink) -> None:
    batch = Batch()
    batch.add_stamped(79, [])
    batch.add_device(device_row(1))
    sink.store(batch)
    assert len(rows(engine, devices)) == 1
