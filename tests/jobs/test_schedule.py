"""When a job is due, and when it is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.jobs.schedule import Schedule, daily

MOMENTS = st.datetimes(min_value=datetime(2020, 1, 1), max_value=datetime(2040, 1, 1), timezones=st.just(UTC))
SCHEDULES = st.builds(
    Schedule,
    st.integers(1, 200_000).map(lambda seconds: timedelta(seconds=seconds)),
    st.integers(0, 100_000).map(lambda seconds: timedelta(seconds=seconds)),
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-10T{text}+00:00")


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        (daily(0, 40), "00:00:00", "00:40:00"),
        (Schedule(timedelta(seconds=20)), "10:00:19.999", "10:00:20"),
        (Schedule(timedelta(seconds=20)), "10:00:20", "10:00:40"),
        (Schedule(timedelta(hours=1), timedelta(minutes=10)), "10:11:00", "11:10:00"),
    ],
)
def test_a_job_is_due_at_moments_that_all_clocks_agree_on(schedule: Schedule, now: str, due: str) -> None:
    assert schedule.next_after(at(now)) == at(due)


def test_a_daily_job_that_is_just_due_is_due_again_tomorrow() -> None:
    assert daily(3).next_after(at("03:00:00")) == at("03:00:00") + timedelta(days=1)


@settings(max_examples=50)
@given(SCHEDULES, MOMENTS)
def test_the_next_due_moment_is_later_but_never_by_more_than_the_interval(schedule: Schedule, now: datetime) -> None:
    due = schedule.next_after(now)
    assert now < due <= now + schedule.every
    assert schedule.next_after(due) == due + schedule.every


@pytest.mark.parametrize(
    ("schedule", "failures", "minutes"),
    [
        (daily(3), 1, 1),
        (daily(3), 2, 2),
        (daily(3), 5, 16),
        (daily(3), 7, 60),
        (daily(3), 1000, 60),
        (Schedule(timedelta(seconds=20)), 1, 1 / 3),
        (Schedule(timedelta(seconds=20)), 2, 2 / 3),
        (Schedule(timedelta(seconds=20)), 3, 1),
        (Schedule(timedelta(seconds=20)), 50, 1),
    ],
)
def test_a_failing_job_is_tried_again_after_pauses_that_double(
    schedule: Schedule, failures: int, minutes: float
) -> None:
    now = at("12:00:00")
    assert schedule.retry_after(now, failures) == now + timedelta(minutes=minutes)
