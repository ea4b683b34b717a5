"""The rows that device traffic leaves behind, and the batch that gathers them between two commits.

Rows are plain tuples in the order of their `…_COLUMNS`: they are made once for every answer and go to the database as
they are, so nothing is spent on turning them into anything else.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from capstan.telemetry.days import DAY_MS

Usage: TypeAlias = Literal["get", "install", "uninstall", "fail"]
USAGES: tuple[Usage, ...] = ("get", "fail", "install", "uninstall")
VERSION_COUNTERS = (*USAGES, "unoffered")
"""What is counted of a version each day; `unoffered` are installs for which the log has no offer to that device."""

DEVICE_COLUMNS = (
    "app_id",
    "device_id",
    "version_name",
    "running_version",
    "offered_version",
    "offered_at",
    "platform",
    "plugin_version",
    "os_version",
    "version_build",
    "custom_id",
    "is_prod",
    "is_emulator",
    "install_source",
    "default_channel",
    "key_id",
    "country_code",
    "created_at",
    "updated_at",
    "last_seen_on",
)
KEPT_WHEN_ABSENT = frozenset(
    {"running_version", "offered_version", "offered_at", "custom_id", "install_source", "country_code"}
)
"""Null or empty text in one of these means "not said", and the stored value stays (contract: device 2.5, 5.1)."""

EVENT_COLUMNS = (
    "app_id",
    "device_id",
    "action",
    "version_name",
    "metadata",
    "created_at",
    "platform",
    "country_code",
    "plugin_version",
    "usage",
    "usage_version",
    "channel_id",
    "channel_name",
    "hour",
    "count",
)
UNKNOWN_APP_COLUMNS = ("app_id", "device_id", "version_name", "platform", "plugin_version", "created_at")
MAX_UNKNOWN_APP_ROWS = 500
"""Rows about apps that are not served here, kept from one commit to the next; anybody can cause them."""

BANDWIDTH_COLUMNS = ("app_id", "device_id", "created_at", "bytes", "downloads")

FAILED_COLUMNS = ("app_id", "device_id", "bundle_id", "failed_at")
SEEN_COLUMNS = ("app_id", "device_id", "date", "month", "platform", "version_build")

DeviceRow: TypeAlias = tuple[Any, ...]
EventRow: TypeAlias = tuple[Any, ...]
BandwidthRow: TypeAlias = tuple[str, str | None, int, int, int]
SeenRow: TypeAlias = tuple[str, str, str, str, str, str]

_KEPT = tuple(name in KEPT_WHEN_ABSENT for name in DEVICE_COLUMNS)
_CREATED_AT = DEVICE_COLUMNS.index("created_at")


def merge_device(earlier: DeviceRow, later: DeviceRow) -> DeviceRow:
    """One row that says what two rows of the same device say one after the other."""
    merged = [old if kept and not new else new for old, new, kept in zip(earlier, later, _KEPT, strict=True)]
    merged[_CREATED_AT] = earlier[_CREATED_AT]
    return tuple(merged)


@dataclass(slots=True)
class Batch:
    """Everything recorded since the last commit. Each table's rows are unique by its key, as one statement needs."""

    seen: set[SeenRow] = field(default_factory=set)
    devices: dict[tuple[str, str], DeviceRow] = field(default_factory=dict)
    events: list[EventRow] = field(default_factory=list)
    hourly: dict[tuple[Any, ...], EventRow] = field(default_factory=dict)
    stamped: dict[int, list[EventRow]] = field(default_factory=dict)
    unknown_apps: list[tuple[Any, ...]] = field(default_factory=list)
    bandwidth: dict[tuple[str, str | None, int], BandwidthRow] = field(default_factory=dict)
    missing: dict[tuple[str, str], int] = field(default_factory=dict)
    failed: dict[tuple[Any, ...], int] = field(default_factory=dict)

    def __len__(self) -> int:
        rows = len(self.events) + len(self.hourly) + len(self.devices) + len(self.seen)
        return rows + len(self.stamped) + len(self.unknown_apps) + len(self.bandwidth) + len(self.missing)

    def add_stamped(self, mark: int, rows: list[EventRow]) -> None:
        """Rows of one event that its sender stamped: they are kept if no event with this mark was kept before."""
        if rows:
            self.stamped.setdefault(mark, rows)

    def add_unknown_app(self, row: tuple[Any, ...]) -> None:
        """A request for an app that is not served here; beyond a bound the rest is not kept."""
        if len(self.unknown_apps) < MAX_UNKNOWN_APP_ROWS:
            self.unknown_apps.append(row)

    def add_device(self, row: DeviceRow) -> None:
        key = (row[0], row[1])
        earlier = self.devices.get(key)
        self.devices[key] = row if earlier is None else merge_device(earlier, row)

    def add_hourly(self, row: EventRow) -> None:
        """An answer that is kept once an hour: the same one again only raises the row's count."""
        key = (row[0], row[1], row[2], row[3], row[13])
        earlier = self.hourly.get(key)
        self.hourly[key] = row if earlier is None else (*row[:-1], earlier[-1] + row[-1])

    def add_bandwidth(self, app_id: str, device_id: str | None, now_ms: int, sent_bytes: int) -> None:
        """A download that has sent something. Those of one device, or of nobody known, between two commits are one row
        a day: a delta update alone may have thousands."""
        key = (app_id, device_id, now_ms // DAY_MS)
        _, _, created_at, total, downloads = self.bandwidth.get(key, (app_id, device_id, now_ms, 0, 0))
        self.bandwidth[key] = (app_id, device_id, created_at, total + sent_bytes, downloads + 1)

    def add_missing(self, app_id: str, day: str) -> None:
        """A download whose object is not there."""
        self.missing[app_id, day] = self.missing.get((app_id, day), 0) + 1

    def add_failed(self, row: EventRow, bundle_id: int) -> None:
        """A bundle could not be applied, as this row of `events` or `stamped` tells. It is kept if the row is."""
        self.failed[row[:4]] = bundle_id
