"""Telemetry as it is after very many devices were seen: written by a few statements, before the server starts.

Each device has its row, its first-seen rows of this day and month, and one line in the event log, an hour old.
"""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from capstan.simulator import LightFleet
from capstan.simulator.light import VARIANTS
from capstan.telemetry.days import HOUR_MS, first_of_month, utc_day

_MODELS = "create temp table models (number integer primary key, body text)"

_KNOWN = """
create temp table known as
with recursive numbers (i) as (values (0) union all select i + 1 from numbers where i + 1 < :devices)
select i, device_id(i) as id, body ->> 'app_id' as app_id, body from numbers join models on number = i % :variants
"""

# In the order of the key: a million rows in random order take many times as long.
_DEVICES = """
insert into devices (
    app_id, device_id, version_name, running_version, platform, plugin_version, os_version, version_build,
    is_prod, is_emulator, install_source, created_at, updated_at, last_seen_on)
select app_id, id, body ->> 'version_name', body ->> 'version_name', body ->> 'platform', body ->> 'plugin_version',
    body ->> 'version_os', body ->> 'version_build', body ->> 'is_prod', body ->> 'is_emulator',
    nullif(body ->> 'install_source', ''), :then, :then, :day
from known order by app_id, id
"""

_SEEN_THIS_MONTH = """
insert into monthly_devices (app_id, month, device_id, first_day)
select app_id, :month, id, :day from known order by app_id, id
"""

_SEEN_TODAY = """
insert into device_days (app_id, date, device_id, platform, version_build)
select app_id, :day, id, body ->> 'platform', body ->> 'version_build' from known order by app_id, id
"""

_LOG = """
insert into events (app_id, device_id, action, version_name, created_at, platform, plugin_version, hour)
select app_id, id, 'noNew', body ->> 'version_name', :then, body ->> 'platform', body ->> 'plugin_version', :hour
from known order by i
"""


def make_known(data_dir: Path, fleet: LightFleet, devices: int) -> None:
    """Make the first `devices` of a fleet known to a server that is not running."""
    now = time.time_ns() // 1_000_000
    then = now - HOUR_MS
    day = utc_day(now)
    values = {
        "devices": devices,
        "variants": VARIANTS,
        "then": then,
        "hour": then // HOUR_MS,
        "day": day,
        "month": first_of_month(day),
    }
    connection = sqlite3.connect(data_dir / "telemetry.db", isolation_level=None)
    try:
        # If this is cut off, the whole folder is thrown away.
        connection.execute("pragma synchronous = off")
        connection.execute("pragma cache_size = -300000")
        connection.create_function("device_id", 1, fleet.device_id, deterministic=True)
        connection.execute("begin")
        connection.execute(_MODELS)
        models = ((number, fleet.check_body(number).decode()) for number in range(VARIANTS))
        connection.executemany("insert into models values (?, ?)", models)
        for statement in (_KNOWN, _DEVICES, _SEEN_THIS_MONTH, _SEEN_TODAY, _LOG):
            connection.execute(statement, values)
        connection.execute("commit")
        connection.execute("pragma wal_checkpoint(truncate)").fetchall()
    finally:
        connection.close()
