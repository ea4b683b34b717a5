"""From decisions and events to the rows they leave behind (contract: device 1.4, 2.4, 5; house: journey 3)."""

from __future__ import annotations

from hashlib import blake2b
from typing import Literal

import msgspec

from capstan.telemetry.days import HOUR_MS, first_of_month, utc_day
from capstan.telemetry.records import DEVICE_COLUMNS, DeviceRow, EventRow, Usage
from capstan.telemetry.seen import SeenTable
from capstan.telemetry.writer import Telemetry
from capstan.updates.channel_self.call import ChannelCall
from capstan.updates.check import UpdateCheck
from capstan.updates.decision import Decision
from capstan.updates.event import StatsEvent
from capstan.updates.snapshot import AppSnapshot, Channel

RUNNING_ACTIONS = frozenset(
    {"set", "ping", "app_moved_to_foreground", "app_moved_to_background", "app_launch_start", "app_launch_ready"}
)
"""Events whose version is the one that the device runs; others may name one that is being fetched or has failed."""

_MOMENTS = DEVICE_COLUMNS.index("created_at")
"""What stands before them in a device's row says how it is, the rest only when."""

_encode = msgspec.json.Encoder().encode


class Recorder:
    """Fills the telemetry batch. What an update check leaves may be dropped; what an event or a channel call leaves
    never is. With `keep_custom_ids` off no custom id gets further than here, whatever its app allows."""

    def __init__(
        self, telemetry: Telemetry, log_checks: Literal["hourly", "all"], *, keep_custom_ids: bool = True
    ) -> None:
        self._telemetry = telemetry
        self._keep_each = log_checks == "all"
        self._keep_custom_ids = keep_custom_ids
        self._written = SeenTable()
        self._failures = telemetry.failures

    @property
    def _seen(self) -> SeenTable:
        if self._failures != self._telemetry.failures:
            self._failures = self._telemetry.failures
            self._written = SeenTable()
        return self._written

    def check(self, decision: Decision, raw: bytes, now_ms: int) -> None:
        """Record one answered check. `raw` is its body: the same body and the same end mean nothing new."""
        hour = now_ms // HOUR_MS
        device = hash(decision.check.device_id)
        state = hash((raw, decision.outcome.rule, decision.target_name))
        is_repeat = self._seen.is_repeat(device, state, hour)
        is_kept = self._keep_each or decision.is_update
        if (is_repeat and not is_kept) or not self._telemetry.has_room():
            return
        self._write_log(decision, now_ms, None if is_kept else hour)
        if is_repeat:
            return
        owed = self._seen.remember(device, state, hour)
        self._write_device(decision, device, now_ms)
        if owed is not None and not is_kept and decision.log is not None:
            self._telemetry.batch.add_hourly(_check_row(decision, now_ms, *owed))

    def refused_by_plan(self, snapshot: AppSnapshot, check: UpdateCheck, now_ms: int) -> None:
        """A check of an app whose organization may not be served (contract: device 1.4 steps 3 and 8)."""
        if not self._telemetry.has_room():
            return
        batch = self._telemetry.batch
        batch.events.append(_log_row(check, "needPlanUpgrade", check.version_name, now_ms))
        batch.add_device(self._contact(check, snapshot, check.version_name, None, now_ms))
        self._telemetry.written_soon()

    def _write_log(self, decision: Decision, now_ms: int, hour: int | None) -> None:
        if decision.log is None:
            return
        row = _check_row(decision, now_ms, hour, 1)
        if hour is None:
            self._telemetry.batch.events.append(row)
        else:
            self._telemetry.batch.add_hourly(row)
        self._telemetry.written_soon()

    def _write_device(self, decision: Decision, device: int, now_ms: int) -> None:
        check, version = decision.check, decision.device_version
        if decision.outcome.mau:
            self._add_seen(check.app_id, check.device_id, check.platform, check.version_build, now_ms, device)
        if version is not None:
            offered = version if decision.is_update else None
            self._telemetry.batch.add_device(self._contact(check, decision.snapshot, version, offered, now_ms))
        self._telemetry.written_soon()

    def seen(self, event: StatsEvent, now_ms: int) -> None:
        """The device counts as active on this day."""
        build = event.version_build or "builtin"
        self._add_seen(event.app_id, event.device_id, event.platform, build, now_ms, hash(event.device_id))

    def _add_seen(self, app_id: str, device_id: str, platform: str, build: str, now_ms: int, device: int) -> None:
        day = utc_day(now_ms)
        if not self._seen.is_active(device, hash((device_id, app_id, day, platform, build))):
            self._telemetry.batch.seen.add((app_id, device_id, day, first_of_month(day), platform, build))

    def events(self, event: StatsEvent, rows: list[EventRow]) -> None:
        """Append to the event log what one event leaves there; a stamped event that was kept before leaves nothing."""
        stamp = _stamp(event)
        if stamp is None:
            self._telemetry.batch.events.extend(rows)
        else:
            self._telemetry.batch.add_stamped(stamp, rows)

    def channel_call(self, call: ChannelCall, action: str, snapshot: AppSnapshot, now_ms: int) -> None:
        """Append a channel call to the event log and write the device's row (contract: device 3.3 to 3.6)."""
        self._seen.forget(hash(call.device_id))
        batch = self._telemetry.batch
        batch.events.append(_log_row(call, action, call.version_name, now_ms))
        batch.add_device(self._contact(call, snapshot, call.version_name, None, now_ms))

    def unknown_app(self, asked: UpdateCheck | StatsEvent, now_ms: int) -> None:
        """Note that a device asked for an app that is not served here (contract: device 1.4 step 2, 2.4)."""
        row = (asked.app_id, asked.device_id, asked.version_name, asked.platform, asked.plugin_version, now_ms)
        self._telemetry.batch.add_unknown_app(row)
        self._telemetry.written_soon()

    def device(self, event: StatsEvent, snapshot: AppSnapshot, now_ms: int) -> None:
        """Have the device's row written as this event describes it, unless it was written so within this hour."""
        row = (
            event.app_id,
            event.device_id,
            event.version_name,
            event.version_name if event.action in RUNNING_ACTIONS else None,
            None,
            None,
            event.platform,
            event.plugin_version,
            event.version_os,
            event.version_build or "builtin",
            self._custom_id(event, snapshot),
            event.is_prod,
            event.is_emulator,
            event.install_source or None,
            event.default_channel or None,
            event.key_id or None,
            None,
            now_ms,
            now_ms,
            utc_day(now_ms),
        )
        device, state, hour = hash(event.device_id), hash(row[:_MOMENTS]), now_ms // HOUR_MS
        if not self._seen.is_repeat(device, state, hour):
            self._seen.remember(device, state, hour)
            self._telemetry.batch.add_device(row)

    def _contact(
        self,
        check: UpdateCheck | ChannelCall,
        snapshot: AppSnapshot,
        version_name: str,
        offered: str | None,
        now_ms: int,
    ) -> DeviceRow:
        """The device's row as a check or channel call describes it."""
        return (
            check.app_id,
            check.device_id,
            version_name,
            check.version_name,
            offered,
            now_ms if offered is not None else None,
            check.platform,
            check.plugin_version,
            check.version_os,
            check.version_build,
            self._custom_id(check, snapshot),
            check.is_prod,
            check.is_emulator,
            check.install_source or None,
            check.default_channel or None,
            check.key_id or None,
            None,
            now_ms,
            now_ms,
            utc_day(now_ms),
        )

    def _custom_id(self, said: UpdateCheck | StatsEvent | ChannelCall, snapshot: AppSnapshot) -> str:
        return said.custom_id if self._keep_custom_ids and snapshot.allow_device_custom_id else ""


def event_row(
    event: StatsEvent,
    action: str,
    version_name: str,
    now_ms: int,
    *,
    usage: Usage | None = None,
    usage_version: str | None = None,
    channel: Channel | None = None,
) -> EventRow:
    """A row of the event log; `usage` says what it counts as."""
    metadata = _encode(event.metadata).decode() if event.metadata and action == event.action else None
    return (
        event.app_id,
        event.device_id,
        action,
        version_name or "unknown",
        metadata,
        now_ms,
        event.platform,
        None,
        event.plugin_version,
        usage,
        usage_version,
        channel.id if channel is not None else None,
        channel.name if channel is not None else None,
        None,
        1,
    )


def _stamp(event: StatsEvent) -> int | None:
    """A 64-bit mark by which a repeated event is recognised; None for one without a timestamp (contract: 7.9)."""
    if event.timestamp is None:
        return None
    parts = (event.app_id, event.device_id, event.action, event.version_name, str(event.timestamp))
    return int.from_bytes(blake2b("\n".join(parts).encode(), digest_size=8).digest(), "big", signed=True)


def _check_row(decision: Decision, now_ms: int, hour: int | None, count: int) -> EventRow:
    assert decision.log is not None
    action, version_name = decision.log
    row = _log_row(decision.check, action, version_name, now_ms)
    if decision.counts_get:
        return (*row[:9], "get", version_name, *row[11:])
    return (*row[:13], hour, count)


def _log_row(check: UpdateCheck | ChannelCall, action: str, version_name: str, now_ms: int) -> EventRow:
    return (
        check.app_id,
        check.device_id,
        action,
        version_name or "unknown",
        None,
        now_ms,
        check.platform,
        None,
        check.plugin_version,
        None,
        None,
        None,
        None,
        None,
        1,
    )
