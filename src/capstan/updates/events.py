"""What one accepted event means: the order of `POST /stats` for a known app (contract: device 2.4, 2.5).

Nothing is recorded for an event that is refused. Events of a device on its native bundle are taken although no bundle
has that name (contract: device 7.9): they count as activity, never as use of a version.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from capstan.telemetry.records import EventRow, Usage
from capstan.updates.directory import BundleRef, Directory, Entry
from capstan.updates.event import StatsEvent
from capstan.updates.failed import APPLY_FAILURES, FailedBundles
from capstan.updates.recording import Recorder, event_row
from capstan.updates.semver_policy import BUILTIN_NAME, UNKNOWN_NAME, parse_semver
from capstan.updates.snapshot import NO_STATE, AppSnapshot, Channel

Outcome: TypeAlias = Literal["accepted", "version_not_found"]

_FIRST_GOOD_DOWNLOAD_FAIL = (7, 17, 0)
_FIRST_GOOD_DOWNLOAD_FAIL_V6 = (6, 14, 25)


async def take_event(
    event: StatsEvent,
    entry: Entry,
    directory: Directory,
    recorder: Recorder,
    failures: FailedBundles,
    now_ms: int,
) -> Outcome:
    """Judge and record one event of an app whose plan is valid. Raises RegistryUnavailableError."""
    snapshot = entry.snapshot
    is_noise = event.action == "download_fail" and not reports_downloads_well(event.plugin_version)
    bundle = None if is_noise else await directory.bundle(entry, event.bundle_name)
    is_live = bundle is not None and bundle[1]
    if not is_noise and not is_live and not runs_native_bundle(event):
        return "version_not_found"
    rows = custom_id_rows(event, snapshot, now_ms)
    if not is_noise:
        rows += await _rows(event, bundle if is_live else None, entry, directory, now_ms)
    recorder.seen(event, now_ms)
    recorder.events(event, rows)
    if is_live and bundle is not None and event.action in APPLY_FAILURES:
        failures.note(rows[-1], bundle[0])
    if not is_noise and not event.action.endswith("_fail"):
        recorder.device(event, snapshot, now_ms)
    return "accepted"


def custom_id_rows(event: StatsEvent, snapshot: AppSnapshot, now_ms: int) -> list[EventRow]:
    """The log row of a custom id that the app does not keep (contract: device 2.5)."""
    if not event.custom_id or snapshot.allow_device_custom_id:
        return []
    return [event_row(event, "customIdBlocked", event.version_name, now_ms)]


async def _rows(
    event: StatsEvent, bundle: BundleRef | None, entry: Entry, directory: Directory, now_ms: int
) -> list[EventRow]:
    usage = _usage(event) if bundle is not None else None
    if bundle is None or usage is None:
        return [event_row(event, event.action, event.version_name, now_ms)]
    channel = await _attributed_channel(event, entry.snapshot, directory)
    rows = []
    if usage == "install" and event.old_version_name:
        old = await directory.bundle(entry, event.old_version_name)
        if old is not None and old[0] != bundle[0]:
            name = event.old_version_name
            rows.append(
                event_row(event, "uninstall", name, now_ms, usage="uninstall", usage_version=name, channel=channel)
            )
    rows.append(
        event_row(
            event,
            event.action,
            event.version_name,
            now_ms,
            usage=usage,
            usage_version=event.bundle_name,
            channel=channel,
        )
    )
    return rows


def _usage(event: StatsEvent) -> Usage | None:
    """What the event counts as, if it is from a real device with a production build and about a bundle of ours."""
    if event.is_emulator or not event.is_prod or event.bundle_name in (BUILTIN_NAME, UNKNOWN_NAME):
        return None
    if event.action == "set":
        return "install"
    return "fail" if event.action.endswith("_fail") else None


def runs_native_bundle(event: StatsEvent) -> bool:
    """Whether the event is about the bundle inside the native app, said by word or by version (contract: 7.2)."""
    if event.raw_version_name in (BUILTIN_NAME, UNKNOWN_NAME):
        return True
    return bool(event.version_build) and event.version_name == event.version_build


def reports_downloads_well(plugin_version: str) -> bool:
    """Whether `download_fail` of this plugin means a failed download; older ones send it for any refusal."""
    version = parse_semver(plugin_version)
    if version is None:
        return False
    numbers = version.order[:3]
    return numbers >= _FIRST_GOOD_DOWNLOAD_FAIL or (
        plugin_version.startswith("6.") and numbers >= _FIRST_GOOD_DOWNLOAD_FAIL_V6
    )


async def _attributed_channel(event: StatsEvent, snapshot: AppSnapshot, directory: Directory) -> Channel | None:
    """The channel that an install or failure is counted for; unlike a check it falls back to the public one."""
    platform = event.platform if event.platform in ("android", "electron") else "ios"
    state = await directory.device_state(event.app_id, event.device_id) if snapshot.has_device_state else NO_STATE
    if state.self_channel_id is not None:
        chosen = snapshot.channels_by_id.get(state.self_channel_id)
        if chosen is not None and _may_choose(chosen, platform):
            return chosen
    if state.override_channel_id is not None:
        overridden = snapshot.channels_by_id.get(state.override_channel_id)
        if overridden is not None:
            return overridden
    named = snapshot.channels_by_name.get(event.default_channel.strip())
    if named is not None and _may_choose(named, platform):
        return named
    return next(
        (channel for channel in snapshot.channels if channel.public and getattr(channel, platform)),
        None,
    )


def _may_choose(channel: Channel, platform: str) -> bool:
    """Whether a device of this platform may be on the channel by its own choice."""
    return bool(getattr(channel, platform)) and (channel.public or channel.allow_device_self_set)
