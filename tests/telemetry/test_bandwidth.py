"""Bytes sent and objects missed, on both databases: the day's counters are the sums of their rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, Table, select

from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.stores import sqlite_file
from capstan.telemetry.days import DAY_MS, utc_day
from capstan.telemetry.records import Batch
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.tables import bandwidth_usage, daily_bandwidth, daily_missing
from tests.databases import DatabaseUrls

APP = "com.example.app"
DEVICE = "00000001-0000-4000-8000-000000000000"
NOW = 1_795_510_800_000


@pytest.fixture
def engine(database_urls: DatabaseUrls) -> Iterator[Engine]:
    engine = open_engine(database_urls.telemetry)
    migrate(engine, "telemetry")
    yield engine
    engine.dispose()


@pytest.fixture
def sink(database_urls: DatabaseUrls, engine: Engine) -> Iterator[Sink]:
    url = database_urls.telemetry
    sink = SqliteSink(sqlite_file(url)) if database_urls.kind == "sqlite" else PostgresSink(url)
    yield sink
    sink.close()


def rows(engine: Engine, table: Table) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(table))]


def test_counters_of_days_are_the_sums_of_their_rows(engine: Engine, sink: Sink) -> None:
    for sent in (100, 20):
        batch = Batch()
        batch.add_bandwidth(APP, DEVICE, NOW, sent)
        batch.add_bandwidth(APP, DEVICE, NOW + 1, sent)
        batch.add_bandwidth(APP, None, NOW, sent)
        batch.add_bandwidth(APP, None, NOW + DAY_MS, 1)
        batch.add_bandwidth("com.example.other", DEVICE, NOW, 5_000_000_000)
        batch.add_missing(APP, utc_day(NOW))
        batch.add_missing(APP, utc_day(NOW))
        sink.store(batch)
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    with engine.connect() as connection:
        for row in connection.execute(select(bandwidth_usage)).mappings():
            key = (row["app_id"], utc_day(row["created_at"]))
            known = sums.get(key, (0, 0))
            sums[key] = (known[0] + row["bytes"], known[1] + row["downloads"])
        days = connection.execute(select(daily_bandwidth)).mappings().all()
    assert {(row["app_id"], row["date"].isoformat()): (row["bandwidth"], row["downloads"]) for row in days} == sums
    assert sums[APP, utc_day(NOW)] == (360, 6)
    assert sums[APP, utc_day(NOW + DAY_MS)] == (2, 2)
    assert sums["com.example.other", utc_day(NOW)] == (10_000_000_000, 2)
    assert [row[2] for row in rows(engine, daily_missing)] == [4]
    assert len(rows(engine, bandwidth_usage)) == 8, "one row for each device, day and commit"
