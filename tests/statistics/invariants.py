"""The invariants of docs/statistics.md, asked of a telemetry database. Where one is broken, it raises."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import date
from typing import Any

from sqlalchemy import Engine, RowMapping, Table, select

from capstan.telemetry.reconcile import app_ids, counts
from capstan.telemetry.tables import (
    daily_bandwidth,
    daily_mau,
    daily_missing,
    daily_native,
    daily_version,
    device_days,
    devices,
    events,
    monthly_devices,
)

_FIGURES = {
    daily_mau: ("mau",),
    daily_native: ("devices",),
    daily_version: ("get", "fail", "install", "uninstall", "unoffered"),
    daily_bandwidth: ("bandwidth", "downloads"),
    daily_missing: ("requests",),
}


def rows(engine: Engine, table: Table) -> list[RowMapping]:
    with engine.connect() as connection:
        return list(connection.execute(select(table)).mappings())


def no_count_is_negative(engine: Engine) -> None:
    for table, names in _FIGURES.items():
        assert all(row[name] >= 0 for row in rows(engine, table) for name in names)


def days_add_up_to_the_month(engine: Engine) -> None:
    counted: Counter[tuple[str, date]] = Counter()
    for row in rows(engine, daily_mau):
        counted[row["app_id"], row["date"].replace(day=1)] += row["mau"]
    active = {(row["app_id"], row["date"].replace(day=1), row["device_id"]) for row in rows(engine, device_days)}
    assert counted == Counter((app_id, month) for app_id, month, _ in active)
    assert {(row["app_id"], row["month"], row["device_id"]) for row in rows(engine, monthly_devices)} == active


def counters_equal_the_log(engine: Engine) -> None:
    days = {row["date"] for table in _FIGURES for row in rows(engine, table)}
    for app_id in app_ids(engine):
        for day in days:
            wrong = [one for one in counts(engine, app_id, day) if not one.agrees]
            assert not wrong, (app_id, day, wrong)


def installs_bound_what_goes_with_them(engine: Engine) -> None:
    installs: Counter[Any] = Counter()
    uninstalls: Counter[Any] = Counter()
    for row in rows(engine, daily_version):
        assert row["unoffered"] <= row["install"]
        installs[row["app_id"], row["date"]] += row["install"]
        uninstalls[row["app_id"], row["date"]] += row["uninstall"]
    assert uninstalls <= installs


def native_bundles_are_no_versions(engine: Engine) -> None:
    assert not {row["version_name"] for row in rows(engine, daily_version)} & {"builtin", "unknown"}


def who_did_more_than_fail_is_known(engine: Engine) -> None:
    known = {(row["app_id"], row["device_id"]) for row in rows(engine, devices)}
    did = {(row["app_id"], row["device_id"]) for row in rows(engine, events) if not row["action"].endswith("_fail")}
    assert did <= known


def active_devices_are_at_most_their_native_versions(engine: Engine) -> None:
    """A device that changes its native version within a day is one device, and counts for both versions."""
    native: Counter[Any] = Counter()
    for row in rows(engine, daily_native):
        native[row["app_id"], row["date"]] += row["devices"]
    active = Counter({(row["app_id"], row["date"]): row["mau"] for row in rows(engine, daily_mau)})
    assert active <= native


INVARIANTS: tuple[Callable[[Engine], None], ...] = (
    no_count_is_negative,
    days_add_up_to_the_month,
    counters_equal_the_log,
    installs_bound_what_goes_with_them,
    native_bundles_are_no_versions,
    who_did_more_than_fail_is_known,
    active_devices_are_at_most_their_native_versions,
)
