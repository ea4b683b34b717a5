"""What a channel call comes to: one pure function of the app, the device's stored choice and the call.

Devices with a modern plugin keep their choice themselves and are only told whether it is allowed; for legacy plugins
the server keeps it (contract: device 3.2, 3.4 to 3.7).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from capstan.updates.channel_self.call import ChannelCall
from capstan.updates.snapshot import AppSnapshot, Channel, DeviceState

FALLBACK_NAME = "production"
"""What a modern device that names no default channel is told it is on."""

_encode = msgspec.json.Encoder().encode


class Verdict(Struct, frozen=True, kw_only=True):
    """`reply` is the JSON body of a 200.

    `log` is the action to record together with the device's row, None to record nothing. `stores` is the id of the
    channel to keep as the device's choice, `drops` says that the kept one goes.
    """

    reply: bytes
    log: Literal["setChannel", "getChannel"] | None = None
    stores: int | None = None
    drops: bool = False


class ListedChannel(Struct, frozen=True):
    """A channel that a device may choose."""

    id: int
    name: str
    public: bool
    allow_self_set: bool


def _refusal(code: str, message: str, **facts: str) -> bytes:
    return _encode({"error": code, "message": message, **facts})


OK = b'{"status":"ok"}'
ALLOWED = b'{"status":"ok","allowSet":true}'
MISSING_CHANNEL = _refusal("missing_channel", "Cannot find channel in body")
CANNOT_OVERRIDE = _refusal("cannot_override", "Cannot change device override current channel don't allow it")
NOT_FOUND = ("channel_not_found", "Cannot find channel")
PUBLIC_CLOSED = (
    "public_channel_self_set_not_allowed",
    "This channel is public and does not allow device self-assignment. Unset the channel and the device will "
    "automatically use the public channel.",
)
PRIVATE_CLOSED = ("channel_self_set_not_allowed", "This channel does not allow devices to self associate")
SET_FAILED = _refusal("override_not_allowed", "Cannot do channel override")


def judge(call: ChannelCall, snapshot: AppSnapshot, state: DeviceState) -> Verdict:
    """The answer to a valid call of a served app. `state` is that of the device, if its plugin is a legacy one."""
    match call.operation:
        case "set":
            return _set(call, snapshot, state)
        case "get":
            return _get_legacy(call, snapshot, state) if call.is_legacy else _get_modern(call)
        case "unset":
            return _unset(call, snapshot, state)
        case "list":
            return _list(call, snapshot)


def _set(call: ChannelCall, snapshot: AppSnapshot, state: DeviceState) -> Verdict:
    current = _stored(snapshot, state) if call.is_legacy else None
    if current is not None and not current.allow_device_self_set:
        return Verdict(reply=CANNOT_OVERRIDE)
    channel = snapshot.channels_by_name.get(call.channel)
    if channel is None:
        return Verdict(reply=_refusal(*NOT_FOUND, channel=call.channel, app_id=call.app_id))
    if not channel.allow_device_self_set:
        why = PUBLIC_CLOSED if channel.public else PRIVATE_CLOSED
        return Verdict(reply=_refusal(*why, channel=call.channel, app_id=call.app_id))
    if not call.is_legacy:
        return Verdict(reply=ALLOWED, log="setChannel")
    if channel.public and call.platform in channel.platforms:
        return Verdict(reply=OK, log="setChannel", drops=state.self_channel_id is not None)
    if channel is current:
        return Verdict(reply=OK)
    return Verdict(reply=OK, log="setChannel", stores=channel.id)


def _get_modern(call: ChannelCall) -> Verdict:
    if call.channel:
        return _got(channel=call.channel, status="override", allowSet=True)
    return _got(channel=call.default_channel or FALLBACK_NAME, status="default")


def _get_legacy(call: ChannelCall, snapshot: AppSnapshot, state: DeviceState) -> Verdict:
    current = _stored(snapshot, state)
    if current is not None:
        return _got(channel=current.name, status="override", allowSet=current.allow_device_self_set)
    if call.default_channel:
        default = snapshot.channels_by_name.get(call.default_channel)
    else:
        default = next((one for one in snapshot.channels if one.public and call.platform in one.platforms), None)
    return Verdict(reply=_refusal(*NOT_FOUND)) if default is None else _got(channel=default.name, status="default")


def _got(**reply: Any) -> Verdict:
    return Verdict(reply=_encode(reply), log="getChannel")


def _unset(call: ChannelCall, snapshot: AppSnapshot, state: DeviceState) -> Verdict:
    if not call.is_legacy:
        return Verdict(reply=OK, log="setChannel")
    current = _stored(snapshot, state)
    if current is None or not current.allow_device_self_set:
        return Verdict(reply=CANNOT_OVERRIDE)
    return Verdict(reply=OK, drops=True)


def _list(call: ChannelCall, snapshot: AppSnapshot) -> Verdict:
    channels = sorted((one for one in snapshot.channels if _may_choose(call, one)), key=lambda one: one.id)
    return Verdict(
        reply=_encode([ListedChannel(one.id, one.name, one.public, one.allow_device_self_set) for one in channels])
    )


def _may_choose(call: ChannelCall, channel: Channel) -> bool:
    return (
        (channel.public or channel.allow_device_self_set)
        and call.platform in channel.platforms
        and (channel.allow_emulator if call.is_emulator else channel.allow_device)
        and (channel.allow_prod if call.is_prod else channel.allow_dev)
    )


def _stored(snapshot: AppSnapshot, state: DeviceState) -> Channel | None:
    if state.self_channel_id is None:
        return None
    return snapshot.channels_by_id.get(state.self_channel_id)
