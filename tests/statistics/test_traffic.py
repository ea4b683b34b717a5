"""Whatever devices do, the numbers are what docs/statistics.md says, and its invariants hold; on both databases."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from capstan.stores import sqlite_file
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.tables import (
    daily_bandwidth,
    daily_mau,
    daily_native,
    daily_version,
    devices,
    events,
)
from tests.databases import Databases, DatabaseUrls
from tests.statistics.invariants import INVARIANTS, rows
from tests.statistics.traffic import TRAFFIC, Expected, Step, play

NOTHING_OFFERED = {"noNew", "NoChannelOrOverride"}


def sink_of(urls: DatabaseUrls) -> Sink:
    return SqliteSink(sqlite_file(urls.telemetry)) if urls.kind == "sqlite" else PostgresSink(urls.telemetry)


@settings(max_examples=40, deadline=None)
@given(steps=TRAFFIC, log_checks=st.sampled_from(("hourly", "all")))
def test_numbers_are_what_their_definitions_say(
    shared_databases: Databases, steps: list[Step], log_checks: Literal["hourly", "all"]
) -> None:
    sink = sink_of(shared_databases.urls)
    try:
        expected = play(steps, sink, log_checks)
    finally:
        sink.close()
    try:
        check_numbers(shared_databases.telemetry, expected)
        for holds in INVARIANTS:
            holds(shared_databases.telemetry)
    finally:
        shared_databases.empty()


def check_numbers(engine: Engine, expected: Expected) -> None:
    assert Counter({row["date"]: row["mau"] for row in rows(engine, daily_mau)}) == expected.mau
    assert {
        (row["date"], f"{row['platform']} {row['version_build']}"): row["devices"] for row in rows(engine, daily_native)
    } == {key: len(seen) for key, seen in expected.native.items()}
    usage: Counter[Any] = Counter()
    for row in rows(engine, daily_version):
        for counter in ("get", "fail", "install", "uninstall", "unoffered"):
            usage[row["date"], counter, row["version_name"]] = row[counter]
    assert usage == expected.usage
    assert Counter({row["date"]: row["bandwidth"] for row in rows(engine, daily_bandwidth)}) == expected.bandwidth
    assert Counter({row["date"]: row["downloads"] for row in rows(engine, daily_bandwidth)}) == expected.downloads
    assert {row["device_id"] for row in rows(engine, devices)} == expected.known
    logged = Counter(row["action"] for row in rows(engine, events) if row["action"] not in NOTHING_OFFERED)
    assert logged == expected.logged
