"""Channel calls of the app inside a device (contract: device 7.5).

Newer releases keep the chosen channel on the device and only ask the server whether it may be chosen; older ones leave
it to the server. What is kept is not here but with the device: `ChannelAnswer.keep` says what to keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from capstan.simulator.answers import Reply
from capstan.simulator.identity import Platform
from capstan.simulator.releases import Release


@dataclass(frozen=True, slots=True)
class ListedChannel:
    """One channel that the device may choose."""

    id: int
    name: str
    public: bool
    allow_self_set: bool


@dataclass(frozen=True, slots=True)
class ChannelAnswer:
    """What the app is told. `error` is the server's code, or network_error, rate_limited, response_error."""

    accepted: bool
    channel: str = ""
    status: str = ""
    allow_set: bool | None = None
    error: str = ""
    unset: bool = False
    """The server asks to forget the chosen channel."""
    reply: Reply | None = None


NO_REPLY = ChannelAnswer(False, error="network_error")
HELD_BACK = ChannelAnswer(False, error="rate_limited")
"""The call was never made: an earlier 429 holds calls back."""


def set_body(about: Mapping[str, Any], channel: str, platform: Platform) -> dict[str, Any]:
    extra = {"action": "set"} if platform is Platform.ELECTRON else {}
    return {**about, "channel": channel, **extra}


def unset_body(about: Mapping[str, Any], platform: Platform) -> dict[str, Any]:
    return {**about, "action": "unset"} if platform is Platform.ELECTRON else dict(about)


def unset_method(platform: Platform, release: Release) -> str | None:
    """The HTTP method that unsets, its body being JSON for each; None when the device does it alone."""
    if platform is Platform.ELECTRON:
        return "POST"
    return None if release.keeps_channel else "DELETE"


def query_of(about: Mapping[str, Any]) -> dict[str, str]:
    """The same fields as text, booleans as `true` and `false`."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in about.items()}


def judge_set(reply: Reply | None, channel: str, platform: Platform) -> ChannelAnswer:
    """The answer to set; Electron takes every 2xx for success whose status is absent or ok, an error among them."""
    if reply is None:
        return NO_REPLY
    fields = reply.fields
    refusal = _refusal(reply)
    if platform is Platform.ELECTRON:
        refusal = "" if reply.ok and fields.get("status") in (None, "ok") else refusal or "response_error"
    if refusal:
        return ChannelAnswer(False, error=refusal, reply=reply)
    return ChannelAnswer(
        True,
        channel=channel,
        status=_text(fields, "status"),
        allow_set=_flag(fields, "allowSet"),
        unset=fields.get("unset") is True,
        reply=reply,
    )


def judge_get(reply: Reply | None, default_channel: str) -> ChannelAnswer:
    """The answer to get; an unknown channel said with 400 is taken for the local default when there is one."""
    if reply is None:
        return NO_REPLY
    if reply.status == 400 and b"channel_not_found" in reply.body and default_channel:
        return ChannelAnswer(True, channel=default_channel, status="default", reply=reply)
    refusal = _refusal(reply)
    if refusal:
        return ChannelAnswer(False, error=refusal, reply=reply)
    fields = reply.fields
    return ChannelAnswer(
        True,
        channel=_text(fields, "channel"),
        status=_text(fields, "status"),
        allow_set=_flag(fields, "allowSet"),
        reply=reply,
    )


def judge_list(reply: Reply | None, platform: Platform) -> list[ListedChannel]:
    """The channels of a list: a bare array, for Electron `{"channels":[…]}`; anything else is an empty list."""
    if reply is None or not reply.ok:
        return []
    listed = reply.fields.get("channels") if platform is Platform.ELECTRON else reply.json
    entries = listed if isinstance(listed, list) else []
    return [
        ListedChannel(
            entry["id"], _text(entry, "name"), entry.get("public") is True, entry.get("allow_self_set") is True
        )
        for entry in entries
        if isinstance(entry, dict) and type(entry.get("id")) is int
    ]


def _refusal(reply: Reply) -> str:
    return _text(reply.fields, "error") or ("" if reply.ok else "response_error")


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _flag(fields: Mapping[str, Any], name: str) -> bool | None:
    value = fields.get(name)
    return value if isinstance(value, bool) else None
