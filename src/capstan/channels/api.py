"""Wire shapes and routes of channels (contract: public 14)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, cast

from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import asdict
from sqlalchemy import RowMapping

from capstan.channels import service
from capstan.channels.asked import AUTO_PAUSE_ACTIONS, INTEGERS, Asked
from capstan.web.endpoint import Dialect, Done, Endpoint, ReadCall, WriteCall
from capstan.web.inputs import PageNumber, Unchecked

AutoUpdate = Literal["major", "minor", "patch", "version_number", "none", "metadata"]
ChannelName = Annotated[str, Meta(max_length=service.MAX_NAME_LENGTH)]


class BundleName(Struct, frozen=True):
    id: int
    name: str


class Channel(Struct, frozen=True, kw_only=True):
    """A channel as it is read (contract: public 14.1)."""

    id: int
    created_at: datetime
    name: str
    app_id: str
    created_by: str
    updated_at: datetime
    public: bool
    version: BundleName | None
    disable_auto_update_under_native: bool = field(name="disableAutoUpdateUnderNative")
    disable_auto_update: str = field(name="disableAutoUpdate")
    ios: bool
    android: bool
    electron: bool
    allow_device_self_set: bool
    allow_emulator: bool
    allow_device: bool
    allow_dev: bool
    allow_prod: bool
    rollout_version: int | None
    rollout_id: str
    rollout_version_info: BundleName | None
    rollout_percentage_bps: int = field(name="rolloutPercentageBps")
    rollout_enabled: bool = field(name="rolloutEnabled")
    rollout_paused_at: datetime | None = field(name="rolloutPausedAt")
    rollout_pause_reason: str | None = field(name="rolloutPauseReason")
    rollout_cache_ttl_seconds: int = field(name="rolloutCacheTtlSeconds")
    auto_pause_enabled: bool = field(name="autoPauseEnabled")
    auto_pause_window_minutes: int = field(name="autoPauseWindowMinutes")
    auto_pause_failure_rate_bps: int | None = field(name="autoPauseFailureRateBps")
    auto_pause_confidence: float = field(name="autoPauseConfidence")
    auto_pause_min_attempts: int | None = field(name="autoPauseMinAttempts")
    auto_pause_min_failures: int | None = field(name="autoPauseMinFailures")
    auto_pause_action: str = field(name="autoPauseAction")
    auto_pause_cooldown_minutes: int = field(name="autoPauseCooldownMinutes")
    auto_pause_last_triggered_at: datetime | None = field(name="autoPauseLastTriggeredAt")
    auto_pause_last_checked_at: datetime | None = field(name="autoPauseLastCheckedAt")


class ChannelList(Struct, frozen=True):
    app_id: str | None = None
    channel: str | None = None
    page: PageNumber = 0


class ChannelChoice(Struct, frozen=True):
    app_id: str | None = None
    channel: str | None = None


def _range(column: str) -> Meta:
    allowed = INTEGERS[column]
    kind = ["integer", "null"] if allowed.nullable else "integer"
    return Meta(extra_json_schema={"type": kind, "minimum": allowed.lowest, "maximum": allowed.highest})


Percentage = Annotated[Unchecked, Meta(extra_json_schema={"type": "number", "minimum": 0, "maximum": 100})]
PercentageBps = Annotated[Unchecked, _range("rollout_percentage_bps")]
CacheTtl = Annotated[Unchecked, _range("rollout_cache_ttl_seconds")]
Window = Annotated[Unchecked, _range("auto_pause_window_minutes")]
FailureRateBps = Annotated[Unchecked, _range("auto_pause_failure_rate_bps")]
Confidence = Annotated[
    Unchecked, Meta(extra_json_schema={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1})
]
MinAttempts = Annotated[Unchecked, _range("auto_pause_min_attempts")]
MinFailures = Annotated[Unchecked, _range("auto_pause_min_failures")]
AutoPauseAction = Annotated[Unchecked, Meta(extra_json_schema={"enum": list(AUTO_PAUSE_ACTIONS)})]
Cooldown = Annotated[Unchecked, _range("auto_pause_cooldown_minutes")]


class ChannelSetting(Struct, frozen=True, kw_only=True):
    """What a channel is to become. Null is a value only where the default is UNSET; elsewhere it means "not given"."""

    app_id: str | None = None
    channel: ChannelName | None = None
    version: str | UnsetType | None = UNSET
    public: bool | None = None
    ios: bool | None = None
    android: bool | None = None
    electron: bool | None = None
    allow_device_self_set: bool | None = None
    allow_emulator: bool | None = None
    allow_device: bool | None = None
    allow_dev: bool | None = None
    allow_prod: bool | None = None
    disable_auto_update: AutoUpdate | None = field(default=None, name="disableAutoUpdate")
    disable_auto_update_under_native: bool | None = field(default=None, name="disableAutoUpdateUnderNative")
    rollout_version: str | int | UnsetType | None = field(default=UNSET, name="rolloutVersion")
    rollout_percentage: Percentage | None = field(default=None, name="rolloutPercentage")
    rollout_percentage_bps: PercentageBps | None = field(default=None, name="rolloutPercentageBps")
    rollout_enabled: bool | None = field(default=None, name="rolloutEnabled")
    rollout_paused: bool | None = field(default=None, name="rolloutPaused")
    rollout_paused_at: datetime | UnsetType | None = field(default=UNSET, name="rolloutPausedAt")
    rollout_pause_reason: str | UnsetType | None = field(default=UNSET, name="rolloutPauseReason")
    rollout_cache_ttl_seconds: CacheTtl | None = field(default=None, name="rolloutCacheTtlSeconds")
    rollback: bool | None = None
    promote_to_stable: bool | None = field(default=None, name="promoteToStable")
    auto_pause_enabled: bool | None = field(default=None, name="autoPauseEnabled")
    auto_pause_window_minutes: Window | None = field(default=None, name="autoPauseWindowMinutes")
    auto_pause_failure_rate_bps: FailureRateBps | UnsetType | None = field(
        default=UNSET, name="autoPauseFailureRateBps"
    )
    auto_pause_confidence: Confidence | None = field(default=None, name="autoPauseConfidence")
    auto_pause_min_attempts: MinAttempts | UnsetType | None = field(default=UNSET, name="autoPauseMinAttempts")
    auto_pause_min_failures: MinFailures | UnsetType | None = field(default=UNSET, name="autoPauseMinFailures")
    auto_pause_action: AutoPauseAction | None = field(default=None, name="autoPauseAction")
    auto_pause_cooldown_minutes: Cooldown | None = field(default=None, name="autoPauseCooldownMinutes")


class ChannelSaved(Struct, frozen=True):
    """The acknowledgement; the modern shape names a channel that was created with a bundle."""

    status: str = "ok"
    id: int | UnsetType = UNSET
    public: bool | UnsetType = UNSET


_IDENTITY = frozenset({"app_id", "channel"})
_NULL_IS_A_VALUE = frozenset(
    name
    for name, default in zip(ChannelSetting.__struct_fields__, ChannelSetting.__struct_defaults__, strict=True)
    if default is UNSET
)


def to_wire(row: RowMapping) -> Channel:
    """A row that carries the names of its bundles."""
    members = {name: row[name] for name in Channel.__struct_fields__ if name != "rollout_version_info"}
    members["version"] = _bundle(row["version"], row["version_name"])
    members["rollout_version_info"] = _bundle(row["rollout_version"], row["rollout_version_name"])
    return Channel(**members)


def _bundle(bundle_id: int | None, name: str | None) -> BundleName | None:
    return BundleName(bundle_id, name) if bundle_id is not None and name is not None else None


def get_channels(call: ReadCall, given: ChannelList) -> Channel | list[Channel]:
    if given.channel:
        return to_wire(service.read(call.session, call.principal, given.app_id, given.channel))
    rows = service.list_channels(call.session, call.principal, given.app_id, page=given.page)
    return [to_wire(row) for row in rows]


def post_channel(call: WriteCall, given: ChannelSetting) -> ChannelSaved:
    saved = service.save(call.session, call.principal, given.app_id, given.channel, _asked(given))
    if call.dialect is Dialect.SEED or not saved.created or saved.row["version"] is None:
        return ChannelSaved()
    return ChannelSaved(id=saved.row["id"], public=saved.row["public"])


def delete_channel(call: WriteCall, given: ChannelChoice) -> Done:
    service.delete(call.session, call.principal, given.app_id, given.channel)
    return Done()


def _asked(given: ChannelSetting) -> Asked:
    asked = {
        name: value.value if isinstance(value, Unchecked) else value
        for name, value in asdict(given).items()
        if name not in _IDENTITY and value is not UNSET and (value is not None or name in _NULL_IS_A_VALUE)
    }
    if asked.get("disable_auto_update") == "metadata":
        asked["disable_auto_update"] = "version_number"
    return cast(Asked, asked)


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/channel",
        summary="List the channels of an app, or read one by name",
        handler=get_channels,
        input=ChannelList,
        output=Channel | list[Channel],
        errors=("missing_app_id", "invalid_app_id", "cannot_access_app", "cannot_find_version"),
        permission="app.read_channels",
        selector="channel",
        list_parameters=frozenset({"page"}),
    ),
    Endpoint(
        method="POST",
        path="/channel",
        summary="Create a channel or change one",
        handler=post_channel,
        input=ChannelSetting,
        output=ChannelSaved,
        errors=(
            "missing_app_id",
            "invalid_app_id",
            "missing_channel_name",
            "cannot_access_app",
            "cannot_promote_bundle",
            "invalid_rollout_percentage",
            "invalid_rollout_config",
            "invalid_auto_pause_confidence",
            "invalid_auto_pause_action",
            "cannot_find_channel",
            "cannot_find_version",
            "missing_rollout_version",
            "missing_stable_version",
            "cannot_set_bundle_to_channel",
        ),
        permission="channel.update_settings",
        accepts_empty=True,
        refusal="cannot_set_bundle_to_channel",
        snake_case_aliases=True,
    ),
    Endpoint(
        method="DELETE",
        path="/channel",
        summary="Delete a channel",
        handler=delete_channel,
        input=ChannelChoice,
        errors=(
            "missing_app_id",
            "invalid_app_id",
            "missing_channel_name",
            "cannot_find_channel",
            "cannot_access_app",
            "cannot_delete_channel",
        ),
        permission="channel.delete",
        refusal="cannot_delete_channel",
    ),
)
