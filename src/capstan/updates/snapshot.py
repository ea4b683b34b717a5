"""The facts a decision is made from: one app, its channels and the bundles they point to, and one device.

All values here are frozen and hold what is worked out from them once (versions read, lookup tables), so that deciding
reads attributes only. Field names are those of the tables (contract: device 0.5, 6.1). Who builds a value gives only
its first, documented fields; those below the line "worked out" fill themselves.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import force_setattr

from capstan.updates.semver_policy import BUILTIN_NAME, UNKNOWN_NAME, Semver, parse_semver

Platform: TypeAlias = Literal["ios", "android", "electron"]
AutoUpdatePolicy: TypeAlias = Literal["major", "minor", "patch", "version_number", "none"]

PLATFORMS: tuple[Platform, ...] = ("ios", "android", "electron")

_WEB_URL = re.compile(r"https?://[^\s/?#]+(?:[/?#]\S*)?", re.IGNORECASE)


class OrgPlan(Struct, frozen=True, gc=False, kw_only=True):
    """What billing says about the owner of an app; the defaults are an organization that billing does not know."""

    customer_id: str | None = None
    has_usage_credits: bool = False
    trial_ends: date | None = None
    status: str | None = None
    mau_exceeded: bool = False
    bandwidth_exceeded: bool = False
    storage_exceeded: bool = False


class ManifestFile(Struct, frozen=True, gc=False):
    """One delta file of a bundle; `file_size` in bytes, 0 if it is not known."""

    file_name: str
    file_hash: str
    s3_path: str
    file_size: int = 0


class Bundle(Struct, frozen=True, gc=False, kw_only=True, cache_hash=True):
    """A live bundle. Its manifest rows are loaded apart, on demand; `has_manifest` says that there are some."""

    id: int
    name: str
    checksum: str | None = None
    session_key: str | None = None
    key_id: str | None = None
    external_url: str | None = None
    r2_path: str | None = None
    min_update_version: str | None = None
    link: str | None = None
    comment: str | None = None
    has_manifest: bool = False
    # worked out
    semver: Semver | None = None
    min_semver: Semver | None = None
    is_internal: bool = False
    has_content: bool = False
    is_reachable: bool = False

    def __post_init__(self) -> None:
        internal = self.name in (BUILTIN_NAME, UNKNOWN_NAME)
        force_setattr(self, "semver", parse_semver(self.name))
        force_setattr(self, "min_semver", parse_semver(self.min_update_version or ""))
        force_setattr(self, "is_internal", internal)
        force_setattr(self, "has_content", internal or bool(self.external_url or self.r2_path or self.has_manifest))
        force_setattr(self, "is_reachable", self._is_reachable())

    def _is_reachable(self) -> bool:
        """An external URL stands alone: a device is not sent the zip or the manifest beside it."""
        if self.external_url:
            return _WEB_URL.fullmatch(self.external_url) is not None
        return bool(self.r2_path or self.has_manifest)


BUILTIN = Bundle(id=0, name=BUILTIN_NAME)
"""The target of a channel whose `version` is NULL: the bundle inside the native app. No row has its id."""


class Channel(Struct, frozen=True, gc=False, kw_only=True):
    """A channel. `version_id` is its `version` column (None is builtin), `stable` that bundle, None if it is not live.

    `rollout` is the rollout bundle, None if there is none or it is not live.
    """

    id: int
    name: str
    version_id: int | None
    stable: Bundle | None
    public: bool = False
    ios: bool = True
    android: bool = True
    electron: bool = True
    allow_device_self_set: bool = False
    allow_emulator: bool = True
    allow_device: bool = True
    allow_dev: bool = True
    allow_prod: bool = True
    disable_auto_update: AutoUpdatePolicy = "major"
    disable_auto_update_under_native: bool = True
    rollout: Bundle | None = None
    rollout_enabled: bool = False
    rollout_percentage_bps: int = 0
    rollout_id: str = ""
    rollout_paused: bool = False
    # worked out
    target: Bundle | None = None
    platforms: frozenset[str] = frozenset()
    takes_every_build: bool = False

    def __post_init__(self) -> None:
        force_setattr(self, "target", BUILTIN if self.version_id is None else self.stable)
        force_setattr(self, "platforms", frozenset(name for name in PLATFORMS if getattr(self, name)))
        every_build = self.allow_emulator and self.allow_device and self.allow_dev and self.allow_prod
        force_setattr(self, "takes_every_build", every_build)

    @property
    def counts(self) -> bool:
        """Whether the channel can be chosen: it is set to builtin or its bundle is live (contract: device 1.8)."""
        return self.target is not None

    def may_be_default(self, platform: str) -> bool:
        """Whether a device of this platform that names the channel as its `defaultChannel` gets it."""
        return self.target is not None and (self.public or self.allow_device_self_set) and platform in self.platforms


class AppSnapshot(Struct, frozen=True, kw_only=True):
    """One app at one revision.

    `row_id` is the app's own UUID, `owner_org` its organization's. `has_device_state` says that devices of the app may
    have state of their own, which then must be read before deciding.
    """

    app_id: str
    row_id: str
    owner_org: str
    revision: int
    plan: OrgPlan
    channels: tuple[Channel, ...]
    expose_metadata: bool = False
    allow_device_custom_id: bool = True
    block_provider_infra_requests: bool = True
    has_device_state: bool = False
    # worked out
    channels_by_id: dict[int, Channel] = {}
    channels_by_name: dict[str, Channel] = {}
    public_channels: dict[str, Channel] = {}

    def __post_init__(self) -> None:
        channels = tuple(sorted(self.channels, key=lambda channel: (channel.name, channel.id)))
        latest_first = tuple(reversed(channels))
        force_setattr(self, "channels", channels)
        force_setattr(self, "channels_by_id", {channel.id: channel for channel in channels})
        force_setattr(self, "channels_by_name", {channel.name: channel for channel in latest_first})
        force_setattr(self, "public_channels", _public_channels(latest_first))


def _public_channels(latest_first: tuple[Channel, ...]) -> dict[str, Channel]:
    """The public channel of each platform: of several, the first by name and id."""
    return {
        platform: channel
        for channel in latest_first
        if channel.public and channel.counts
        for platform in channel.platforms
    }


class DeviceState(Struct, frozen=True, gc=False, kw_only=True):
    """What the server keeps about one device: an override, a version pin (of a live bundle), the choice that a legacy
    plugin made itself, and the bundles that failed on it."""

    override_channel_id: int | None = None
    self_channel_id: int | None = None
    pinned: Bundle | None = None
    failed_bundles: frozenset[int] = frozenset()


NO_STATE = DeviceState()
