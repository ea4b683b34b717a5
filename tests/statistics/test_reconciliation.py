"""A period is counted anew: which days, which apps, what differs; on both databases."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from capstan.statistics.reconciliation import Difference, reconcile, whole_days_since
from capstan.telemetry.tables import daily_mau
from capstan.telemetry.writing import writing
from tests.databases import Databases
from tests.public_api.world import APP, World
from tests.statistics.test_traffic import sink_of
from tests.statistics.traffic import APP as NOTES
from tests.statistics.traffic import Check, Download, Event, Pause, Step, Told, play

DAY_MS = 86_400_000
FIRST = date(2026, 10, 26)
LAST = date(2026, 10, 28)
LONG_AGO = date(2000, 1, 1)


def a_day(device: int) -> list[Step]:
    told = Told(device, "ios", "2.0.0", "2.0.0")
    installed = Event(Told(device, "ios", "2.0.0", "2.1.0"), "set", "2.0.0", None, True, False)
    return [Check(told), Download(device, 100), installed, Pause(DAY_MS)]


@pytest.fixture
def three_days(world: World, databases: Databases) -> World:
    """A device each day, and then a day's wait; and a bundle whose size nobody counted."""
    sink = sink_of(databases.urls)
    play([*a_day(1), *a_day(2), *a_day(3)], sink, "hourly")
    sink.close()
    return world


def test_all_days_and_counters_agree(three_days: World) -> None:
    done = reconcile(three_days.registry, three_days.telemetry, FIRST, LAST, LONG_AGO)
    assert (done.first, done.last, done.left_out, done.apps, done.differences) == (FIRST, LAST, 0, 1, [])
    assert done.totals == {
        "mau": 3,
        "native": 3,
        "get": 3,
        "install": 3,
        "unoffered": 0,
        "uninstall": 3,
        "fail": 0,
        "bandwidth": 300,
        "downloads": 3,
        "storage": 0,
    }


def test_both_ends_belong_to_the_period(three_days: World) -> None:
    with writing(three_days.telemetry) as connection:
        connection.execute(update(daily_mau).values(mau=daily_mau.c.mau + 1))
    one_day = timedelta(days=1)
    inside = reconcile(three_days.registry, three_days.telemetry, FIRST + one_day, LAST - one_day, LONG_AGO)
    assert inside.differences == [Difference(NOTES, FIRST + one_day, "mau", "", 2, 1)]
    whole = reconcile(three_days.registry, three_days.telemetry, FIRST, LAST, LONG_AGO)
    assert [one.date for one in whole.differences] == [FIRST, FIRST + one_day, LAST]


def test_days_whose_rows_may_be_gone_are_left_out(three_days: World) -> None:
    done = reconcile(three_days.registry, three_days.telemetry, FIRST, LAST, LAST)
    assert (done.first, done.left_out, done.totals["mau"]) == (LAST, 2, 1)
    none = reconcile(three_days.registry, three_days.telemetry, FIRST, LAST, LAST + timedelta(days=30))
    assert (none.left_out, none.totals["mau"]) == (3, 0)
    assert none.first > none.last


def test_bytes_that_nobody_counted_are_found(three_days: World) -> None:
    three_days.add_bundle("1.0.0", size=500)
    done = reconcile(three_days.registry, three_days.telemetry, FIRST, LAST, LONG_AGO)
    assert done.differences == [Difference(APP, None, "storage", "", 0, 500)]


@pytest.mark.parametrize(
    ("now", "kept_days", "since"),
    [
        (datetime(2026, 3, 10, 12, tzinfo=UTC), 7, date(2026, 3, 4)),
        (datetime(2026, 3, 10, 0, tzinfo=UTC), 7, date(2026, 3, 4)),
        (datetime(2026, 3, 10, 23, 30, tzinfo=UTC), 7, date(2026, 3, 5)),
        (datetime(2026, 3, 10, 12, tzinfo=UTC), 1, date(2026, 3, 10)),
    ],
)
def test_a_day_counts_as_kept_if_its_first_moment_is(now: datetime, kept_days: int, since: date) -> None:
    assert whole_days_since(now, timedelta(days=kept_days)) == since
