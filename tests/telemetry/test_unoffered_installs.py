"""Installs of which the log has no offer to that device: counted by themselves, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Engine

from capstan.stores import sqlite_file
from capstan.telemetry.records import Batch
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.tables import daily_version, events
from tests.databases import Databases
from tests.statistics.invariants import rows
from tests.telemetry.test_writer import event_row


@pytest.fixture
def sink(databases: Databases) -> Iterator[Sink]:
    urls = databases.urls
    sink = SqliteSink(sqlite_file(urls.telemetry)) if urls.kind == "sqlite" else PostgresSink(urls.telemetry)
    yield sink
    sink.close()


def batch_of(*events: tuple[Any, ...]) -> Batch:
    batch = Batch()
    batch.events += events
    return batch


def offer(number: int, version: str = "1.1.0", **said: Any) -> tuple[Any, ...]:
    return event_row(number, "get", usage="get", usage_version=version, **said)


def install(number: int, version: str = "1.1.0", **said: Any) -> tuple[Any, ...]:
    return event_row(number, "set", usage="install", usage_version=version, **said)


def counted(engine: Engine) -> tuple[int, int]:
    """Installs, and those without an offer; the rows of the log say the same."""
    days = rows(engine, daily_version)
    logged = [row for row in rows(engine, events) if row["usage"] == "install"]
    counts = (sum(row["install"] for row in days), sum(row["unoffered"] for row in days))
    assert counts == (len(logged), sum(row["unoffered"] for row in logged))
    assert not any(row["unoffered"] for row in rows(engine, events) if row["usage"] != "install")
    return counts


def test_an_install_after_its_offer_is_none(telemetry_engine: Engine, sink: Sink) -> None:
    sink.store(batch_of(offer(1)))
    sink.store(batch_of(install(1)))
    assert counted(telemetry_engine) == (1, 0)


def test_an_offer_that_is_written_together_with_the_install_counts(telemetry_engine: Engine, sink: Sink) -> None:
    sink.store(batch_of(offer(1), install(1)))
    assert counted(telemetry_engine) == (1, 0)


def test_an_older_offer_counts_though_another_bundle_was_offered_since(telemetry_engine: Engine, sink: Sink) -> None:
    sink.store(batch_of(offer(1)))
    sink.store(batch_of(offer(1, "1.2.0")))
    sink.store(batch_of(install(1)))
    assert counted(telemetry_engine) == (1, 0)


def test_an_install_out_of_nothing_is_one(telemetry_engine: Engine, sink: Sink) -> None:
    sink.store(batch_of(install(1)))
    assert counted(telemetry_engine) == (1, 1)


def test_offers_of_other_bundles_to_other_devices_or_by_other_apps_do_not_count(
    telemetry_engine: Engine, sink: Sink
) -> None:
    sink.store(batch_of(offer(1, "1.2.0"), offer(2), offer(1, app_id="com.example.other")))
    sink.store(batch_of(install(1)))
    assert counted(telemetry_engine) == (1, 1)


def test_a_device_that_says_it_was_offered_something_was_not(telemetry_engine: Engine, sink: Sink) -> None:
    sink.store(batch_of(event_row(1, "get", version_name="1.1.0")))
    sink.store(batch_of(install(1)))
    assert counted(telemetry_engine) == (1, 1)


def test_an_event_that_is_sent_again_counts_once(telemetry_engine: Engine, sink: Sink) -> None:
    for _ in range(2):
        batch = Batch()
        batch.add_stamped(77, [install(1)])
        sink.store(batch)
    assert counted(telemetry_engine) == (1, 1)


@pytest.mark.parametrize("size", [1, 64, 150])
def test_many_at_once(telemetry_engine: Engine, sink: Sink, size: int) -> None:
    sink.store(batch_of(*(offer(number) for number in range(0, size, 3))))
    sink.store(batch_of(*(install(number) for number in range(size))))
    assert counted(telemetry_engine) == (size, size - len(range(0, size, 3)))
