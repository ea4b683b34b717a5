"""What a process keeps in memory about failed bundles, beside the database that has the last word."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, TypeVar, cast

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from capstan.stores import sqlite_file
from capstan.telemetry.failed_bundles import FailureReader, PostgresFailureReader, SqliteFailureReader
from capstan.telemetry.records import Batch
from capstan.telemetry.tables import failed_bundles
from capstan.telemetry.writer import Telemetry
from capstan.updates.failed import NothingKept, RememberedFailures
from tests.databases import Databases

APP = "com.demo.app"
WEEK_SECONDS = 7 * 86400
T = TypeVar("T")


def device(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


@dataclass
class Node:
    """A process with its memory of failures, at a time that a test sets. Used within one event loop."""

    databases: Databases
    now: float = 1_795_510_800.0
    batch: Batch = field(default_factory=Batch)

    def __post_init__(self) -> None:
        self.failures = RememberedFailures(
            cast(Telemetry, SimpleNamespace(batch=self.batch)),
            self.databases.telemetry,
            self._reader(),
            WEEK_SECONDS,
            lambda: self.now,
        )

    def _reader(self) -> FailureReader:
        if self.databases.urls.kind == "sqlite":
            return SqliteFailureReader(sqlite_file(self.databases.urls.telemetry))
        return PostgresFailureReader(self.databases.telemetry)

    def fail(self, number: int, bundle_id: int = 1) -> None:
        """Have a failure of another process in the database."""
        row = {
            "app_id": APP,
            "device_id": device(number),
            "bundle_id": bundle_id,
            "failed_at": int(self.now * 1000),
        }
        write(self.databases.telemetry, failed_bundles.insert().values(row))


def write(engine: Engine, statement: Any) -> None:
    with engine.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        connection.execute(statement)


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def test_a_device_costs_a_look_up_only_if_something_may_have_failed_on_it(databases: Databases) -> None:
    async def check() -> None:
        node = Node(databases)
        node.fail(1)
        await node.failures.start()
        assert node.failures.may_hold(APP, device(1))
        assert not any(node.failures.may_hold(APP, device(number)) for number in range(2, 200))
        assert not node.failures.may_hold("com.demo.other", device(1))
        await node.failures.stop()

    run(check())


def test_many_devices_asked_at_once_get_each_their_own(databases: Databases) -> None:
    async def check() -> None:
        node = Node(databases)
        for number in range(0, 500, 5):
            node.fail(number, bundle_id=number + 1)
        node.fail(5, bundle_id=99)
        asked = [node.failures.of_device(APP, device(number)) for number in range(500) for _ in range(2)]
        got = await asyncio.gather(*asked)
        wanted = [frozenset({number + 1}) if number % 5 == 0 else frozenset() for number in range(500)]
        wanted[5] = frozenset({6, 99})
        assert got == [one for one in wanted for _ in range(2)]

    run(check())


def test_what_is_remembered_outlives_every_change_of_generations(databases: Databases) -> None:
    async def check() -> None:
        node = Node(databases)
        for number in range(40):
            node.now += WEEK_SECONDS / 10
            node.fail(number)
            await node.failures.learn()
            for earlier in range(max(number - 9, 0), number + 1):
                assert node.failures.may_hold(APP, device(earlier))
        assert not node.failures.may_hold(APP, device(0))

    run(check())


def test_a_failure_of_this_process_is_known_at_once_and_kept_with_its_event(databases: Databases) -> None:
    async def check() -> None:
        node = Node(databases)
        row = (APP, device(1), "update_fail", "1.1.0", None, 5)
        node.failures.note(row, 7)
        assert node.failures.may_hold(APP, device(1))
        assert node.batch.failed == {row[:4]: 7}

    run(check())


def test_telemetry_that_cannot_be_read_holds_nothing_up(databases: Databases) -> None:
    async def check() -> None:
        node = Node(databases)
        node.fail(1)
        await node.failures.start()
        write(databases.telemetry, text("alter table failed_bundles rename to failed_bundles_away"))
        try:
            many = await asyncio.gather(*(node.failures.of_device(APP, device(1)) for _ in range(5)))
        finally:
            write(databases.telemetry, text("alter table failed_bundles_away rename to failed_bundles"))
        assert many == [frozenset()] * 5
        assert await node.failures.of_device(APP, device(1)) == frozenset({1})
        await node.failures.stop()

    run(check())


def test_without_a_memory_nothing_is_kept_and_nothing_known() -> None:
    off = NothingKept()
    off.note((APP, device(1), "update_fail", "1.1.0"), 1)
    assert not off.may_hold(APP, device(1))
    assert run(off.of_device(APP, device(1))) == frozenset()


@settings(max_examples=25)
@given(st.sets(st.integers(0, 10**9), max_size=300))
def test_no_device_that_failed_is_ever_missed(numbers: set[int]) -> None:
    failures = RememberedFailures(
        cast(Telemetry, SimpleNamespace(batch=Batch())), cast(Engine, None), cast(FailureReader, None), WEEK_SECONDS
    )
    for number in numbers:
        failures.note((APP, device(number), "update_fail", "1.1.0"), 1)
    assert all(failures.may_hold(APP, device(number)) for number in numbers)
