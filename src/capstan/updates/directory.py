"""The one place where control plane and device plane meet: snapshots in memory, and when each is stale.

Read your writes (house rule): a snapshot is used only while the app's mark (row id, revision, whether devices have
state of their own) is known to be what it was taken at. How that is known differs by database: `directory_sqlite`,
`directory_postgresql`.

A database that cannot be read never makes an app unknown: the last snapshot answers for `stale_for` seconds, then
`RegistryUnavailableError` (house rule: never lie to a device).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol, TypeVar

from structlog.typing import FilteringBoundLogger

from capstan.outages import Outage
from capstan.updates.snapshot import AppSnapshot, DeviceState, ManifestFile
from capstan.updates.store import Query

MAX_APPS = 20_000
MAX_BUNDLE_NAMES = 2_000

T = TypeVar("T")

BundleRef = tuple[int, bool]
"""A bundle's id, and whether it is live (not deleted)."""


class RegistryUnavailableError(Exception):
    """The registry cannot be read, and no snapshot is fresh enough to stand in for it."""


def unreadable_registry(log: FilteringBoundLogger) -> Outage:
    """What a directory tells of a registry that cannot be read."""
    return Outage(log, "the registry cannot be read", "the registry can be read again")


class Entry:
    """A snapshot, the bundle names looked up beside it, and when it was last known to be true.

    `checked` is the directory's own count of "something may have changed" at that moment, `verified_at` a monotonic
    clock's seconds.
    """

    __slots__ = ("bundles", "checked", "snapshot", "verified_at")

    def __init__(self, snapshot: AppSnapshot, checked: int, verified_at: float) -> None:
        self.snapshot = snapshot
        self.checked = checked
        self.verified_at = verified_at
        self.bundles: OrderedDict[str, BundleRef | None] = OrderedDict()

    def remember_bundle(self, name: str, found: BundleRef | None) -> None:
        """Keep a look-up by name for as long as this snapshot is true; bounded, whatever names devices send."""
        if len(self.bundles) >= MAX_BUNDLE_NAMES:
            self.bundles.popitem(last=False)
        self.bundles[name] = found


class Entries:
    """Loaded apps, the least recently used leaving first."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, Entry] = OrderedDict()

    def get(self, app_id: str) -> Entry | None:
        return self._entries.get(app_id)

    def put(self, app_id: str, entry: Entry) -> Entry:
        self._entries[app_id] = entry
        self._entries.move_to_end(app_id)
        if len(self._entries) > MAX_APPS:
            self._entries.popitem(last=False)
        return entry

    def drop(self, app_id: str) -> None:
        self._entries.pop(app_id, None)

    def app_ids(self) -> list[str]:
        return list(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


class Directory(Protocol):
    """What the device plane asks of the registry."""

    def peek(self, app_id: str) -> Entry | None:
        """The app's entry if it is known to be true without waiting; None: ask `app`."""

    async def app(self, app_id: str) -> Entry | None:
        """The app as it is now, None if there is no such app. Raises RegistryUnavailableError."""

    async def device_state(self, app_id: str, device_id: str) -> DeviceState:
        """Override, own choice and pin of one device, by key. Raises RegistryUnavailableError."""

    async def bundle(self, entry: Entry, name: str) -> BundleRef | None:
        """The app's bundle of this name, None if there never was one. Raises RegistryUnavailableError."""

    async def manifest(self, bundle_id: int) -> tuple[ManifestFile, ...]:
        """A bundle's delta files. Raises RegistryUnavailableError."""

    async def read(self, work: Callable[[Query], T]) -> T:
        """Run a longer read on a thread, in a transaction of its own. Raises RegistryUnavailableError."""

    def expire(self, app_id: str) -> None:
        """Have the app compared anew before its next answer: this process has just changed it."""

    async def start(self) -> None:
        """Begin to learn of changes."""

    async def stop(self) -> None:
        """Close what `start` opened."""
