"""Random traffic of a few devices over some weeks, played into telemetry; and what it comes to, by the definitions.

`Expected` counts in a way of its own, from what docs/statistics.md says.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, Literal, cast

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from capstan.telemetry.records import Batch
from capstan.telemetry.sinks import Sink
from capstan.updates.decision import decide
from capstan.updates.directory import BundleRef, Directory, Entry
from capstan.updates.event import StatsEvent, parse_event
from capstan.updates.events import take_event
from capstan.updates.failed import NothingKept
from capstan.updates.recording import Recorder
from capstan.updates.snapshot import NO_STATE, DeviceState
from tests.updates.world import BASE, body, check, notes, production

APP = "io.acme.notes"
OFFERED = "2.1.0"
BUNDLES: dict[str, BundleRef] = {"2.0.0": (101, True), OFFERED: (102, True), "1.9.9": (109, False)}
"""By name: id, and whether it is not deleted."""

START_MS = int(datetime(2026, 10, 26, 20, tzinfo=UTC).timestamp() * 1000)
PAUSES_MS = (0, 500, 40 * 60_000, 5 * 3_600_000, 9 * 86_400_000)
NATIVE = "2.0.0"


def device_id_of(number: int) -> str:
    return f"{number:08x}-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Told:
    """What one request says of its device."""

    device: int
    platform: str
    build: str
    version: str

    @property
    def device_id(self) -> str:
        return device_id_of(self.device)

    @property
    def running(self) -> str:
        """The version that is meant."""
        return self.build if self.version == "builtin" else self.version

    @property
    def members(self) -> dict[str, Any]:
        return {
            "device_id": self.device_id,
            "platform": self.platform,
            "version_build": self.build,
            "version_name": self.version,
        }


@dataclass(frozen=True)
class Check:
    """A device asks for an update."""

    told: Told


@dataclass(frozen=True)
class Event:
    """A device tells what happened, perhaps not for the first time."""

    told: Told
    action: str
    old_version: str
    stamp: int | None
    is_prod: bool
    is_emulator: bool

    @property
    def parsed(self) -> StatsEvent:
        stamp = {} if self.stamp is None else {"timestamp": self.stamp}
        old = {"old_version_name": self.old_version, "is_prod": self.is_prod, "is_emulator": self.is_emulator}
        event = parse_event({**BASE, **self.told.members, "action": self.action, **old, **stamp})
        assert isinstance(event, StatsEvent), event
        return event


@dataclass(frozen=True)
class Download:
    """Somebody fetches something, a device that says who it is or not."""

    device: int | None
    size: int


@dataclass(frozen=True)
class Commit:
    """What has gathered is written."""


@dataclass(frozen=True)
class Pause:
    ms: int


Step = Check | Event | Download | Commit | Pause

_told = st.builds(
    Told,
    device=st.integers(0, 4),
    platform=st.sampled_from(("ios", "android", "electron")),
    build=st.sampled_from((NATIVE, "2.0.1")),
    version=st.sampled_from(("2.0.0", OFFERED, OFFERED, "1.9.9", "9.9.9", "builtin")),
)
_events = st.builds(
    Event,
    told=_told,
    action=st.sampled_from(("set", "set", "set", "set_fail", "update_fail", "download_complete", "ping", "app_crash")),
    old_version=st.sampled_from(("", "2.0.0", OFFERED, "1.9.9", "7.7.7")),
    stamp=st.none() | st.integers(1, 3),
    is_prod=st.sampled_from((True, True, True, False)),
    is_emulator=st.sampled_from((False, False, False, True)),
)
_steps = st.one_of(
    st.builds(Check, _told),
    _events,
    _events,
    st.builds(Download, st.none() | st.integers(0, 4), st.integers(0, 10**12)),
    st.builds(Commit),
    st.builds(Pause, st.sampled_from(PAUSES_MS)),
)
TRAFFIC: SearchStrategy[list[Step]] = st.lists(_steps, min_size=5, max_size=60)


@dataclass
class Expected:
    """What the numbers must be."""

    mau: Counter[date] = field(default_factory=Counter)
    native: defaultdict[tuple[date, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    """Devices by day, and platform with native version."""
    usage: Counter[tuple[date, str, str]] = field(default_factory=Counter)
    """By day, counter and version."""
    bandwidth: Counter[date] = field(default_factory=Counter)
    downloads: Counter[date] = field(default_factory=Counter)
    known: set[str] = field(default_factory=set)
    """Devices that have a row."""
    logged: Counter[str] = field(default_factory=Counter)
    """Rows of the log by action, without answers that offer nothing."""
    _months: set[tuple[int, date]] = field(default_factory=set)
    _stamps: set[tuple[int, str, str, int]] = field(default_factory=set)
    _offers: set[tuple[int, str]] = field(default_factory=set)
    _unwritten_installs: list[tuple[date, int, str]] = field(default_factory=list)

    def check(self, told: Told, day: date) -> None:
        self._active(told, day)
        self.known.add(told.device_id)
        if told.running != OFFERED and told.platform != "electron":
            self.usage[day, "get", OFFERED] += 1
            self.logged["get"] += 1
            self._offers.add((told.device, OFFERED))

    def event(self, event: Event, day: date) -> None:
        told = event.told
        is_live = BUNDLES.get(told.running, (0, False))[1]
        if not is_live and told.running != told.build:
            return
        self._active(told, day)
        if not event.action.endswith("_fail"):
            self.known.add(told.device_id)
        if event.stamp is not None:
            mark = (told.device, event.action, told.running, event.stamp)
            if mark in self._stamps:
                return
            self._stamps.add(mark)
        self.logged[event.action] += 1
        if not is_live or event.is_emulator or not event.is_prod:
            return
        if event.action.endswith("_fail"):
            self.usage[day, "fail", told.running] += 1
        if event.action == "set":
            self.usage[day, "install", told.running] += 1
            self._unwritten_installs.append((day, told.device, told.running))
            if event.old_version in BUNDLES and event.old_version != told.running:
                self.usage[day, "uninstall", event.old_version] += 1
                self.logged["uninstall"] += 1

    def download(self, size: int, day: date) -> None:
        self.bandwidth[day] += size
        self.downloads[day] += 1

    def written(self) -> None:
        for day, device, version in self._unwritten_installs:
            self.usage[day, "unoffered", version] += (device, version) not in self._offers
        self._unwritten_installs.clear()

    def _active(self, told: Told, day: date) -> None:
        month = (told.device, day.replace(day=1))
        self.mau[day] += month not in self._months
        self._months.add(month)
        self.native[day, f"{told.platform} {told.build}"].add(told.device)


class Gathered:
    """Telemetry that is not written."""

    def __init__(self) -> None:
        self.batch = Batch()
        self.failures = 0

    def has_room(self) -> bool:
        return True

    def written_soon(self) -> None:
        return

    async def durable(self, since: int) -> None:
        raise AssertionError(f"nobody waits here, since {since} failures")


class Gathering(Gathered):
    """Telemetry that is written when the test says so."""

    def __init__(self, sink: Sink) -> None:
        super().__init__()
        self._sink = sink

    def write(self) -> None:
        self._sink.store(self.batch)
        self.batch = Batch()


class Bundles:
    """As much of a directory as an event needs."""

    async def bundle(self, _entry: Entry, name: str) -> BundleRef | None:
        return BUNDLES.get(name)

    async def device_state(self, _app_id: str, _device_id: str) -> DeviceState:
        return NO_STATE


def play(steps: list[Step], sink: Sink, log_checks: Literal["hourly", "all"]) -> Expected:
    """Have the steps happen one after another; at the end everything is written."""
    return asyncio.run(_play(steps, Gathering(sink), log_checks))


async def _play(steps: list[Step], telemetry: Gathering, log_checks: Literal["hourly", "all"]) -> Expected:
    snapshot = notes(production(electron=False))
    entry, directory = Entry(snapshot, 0, 0.0), cast(Directory, Bundles())
    recorder, expected, now_ms = Recorder(telemetry, log_checks), Expected(), START_MS
    for step in [*steps, Commit()]:
        day = datetime.fromtimestamp(now_ms / 1000, UTC).date()
        match step:
            case Check(told):
                decision = decide(snapshot, NO_STATE, check(**told.members))
                recorder.check(decision, body(**told.members), now_ms)
                expected.check(told, day)
            case Event():
                await take_event(step.parsed, entry, directory, recorder, NothingKept(), now_ms)
                expected.event(step, day)
            case Download(device, size):
                device_id = None if device is None else device_id_of(device)
                telemetry.batch.add_bandwidth(APP, device_id, now_ms, size)
                expected.download(size, day)
            case Commit():
                telemetry.write()
                expected.written()
            case Pause(ms):
                now_ms += ms
    return expected
