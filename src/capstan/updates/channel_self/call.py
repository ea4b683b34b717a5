"""One channel call: body or query in, a `ChannelCall` or the exact refusal out (contract: device 3.1, 3.3 step 2).

Each method has a place for its input, body or query; what comes in the other place is read as well, because older
clients send DELETE with a body (contract: device 7.8).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qsl

from msgspec import Struct

from capstan.updates.body import Limit, Refusal, decode_body, schema_refusal, settle_body, too_many_requests
from capstan.updates.check import normal_custom_id, normal_install_source
from capstan.updates.fields import (
    APP_ID,
    DEFAULT_CHANNEL,
    DEVICE_ID,
    INSTALL_SOURCE,
    IS_EMULATOR,
    IS_PROD,
    KEY_ID,
    PLATFORM,
    VERSION_BUILD,
    VERSION_NAME,
    Field,
    check_fields,
    optional_text,
)
from capstan.updates.semver_policy import PluginFeatures, plugin_features
from capstan.updates.snapshot import Platform

Operation: TypeAlias = Literal["set", "get", "unset", "list"]

OPERATIONS: Mapping[str, Operation] = {"POST": "set", "PUT": "get", "DELETE": "unset", "GET": "list", "HEAD": "list"}
"""What each HTTP method asks for."""

FIELDS_CALL: tuple[Field, ...] = (
    APP_ID,
    DEVICE_ID,
    VERSION_NAME,
    VERSION_BUILD,
    IS_EMULATOR,
    IS_PROD,
    PLATFORM,
    DEFAULT_CHANNEL,
    optional_text("channel"),
    optional_text("plugin_version"),
    INSTALL_SOURCE,
    KEY_ID,
)
FIELDS_LIST: tuple[Field, ...] = (APP_ID, IS_EMULATOR, IS_PROD, PLATFORM, KEY_ID)

_LONGEST_DEVICE_ID = 36


class ChannelCall(Struct, frozen=True, gc=False, kw_only=True):
    """A valid call. Absent texts are empty.

    `version_build` is repaired, `builtin` if it is empty; `custom_id` and `install_source` are normalised. A missing
    `plugin_version` is read as `0.0.0` (contract: device 3.2). A list needs no device: its `device_id` is any text of
    at most 36 characters, and what describes the device is not checked.
    """

    operation: Operation
    app_id: str
    device_id: str
    version_name: str
    version_build: str
    platform: Platform
    plugin_version: str
    is_emulator: bool
    is_prod: bool
    channel: str
    default_channel: str
    install_source: str
    key_id: str
    version_os: str
    custom_id: str

    @property
    def plugin(self) -> PluginFeatures:
        return plugin_features(self.plugin_version)

    @property
    def is_legacy(self) -> bool:
        """Whether this plugin leaves its choice to the server (contract: device 3.2)."""
        return self.plugin.legacy_channel_self


def parse_call(operation: Operation, raw: bytes, query: bytes, limit: Limit) -> ChannelCall | Refusal:
    """Read a call from its body and query string; `limit` is asked at its place in the order."""
    body = _input(operation, raw, query)
    if isinstance(body, Refusal):
        return body
    code = "invalid_json_body" if _has_body(operation) else "invalid_query_parameters"
    settled = settle_body(body, _naming_the_device(limit), code=code, needs_device=operation != "list")
    if isinstance(settled, Refusal):
        return settled
    issues = check_fields(FIELDS_LIST if operation == "list" else FIELDS_CALL, settled)
    return schema_refusal(code, issues) if issues else _call(operation, settled)


def _has_body(operation: Operation) -> bool:
    return operation in ("set", "get")


def _input(operation: Operation, raw: bytes, query: bytes) -> object:
    """The input from its own place, from the other one if there is nothing."""
    from_body = bool(raw) or not query if _has_body(operation) else bool(raw) and not query
    return decode_body(raw) if from_body else _query_body(query)


def _query_body(query: bytes) -> dict[str, Any]:
    """A query string as a body: the first value of a name counts, and a flag is true if it says so."""
    body: dict[str, Any] = {}
    for name, value in parse_qsl(query.decode("utf-8", "replace"), keep_blank_values=True):
        body.setdefault(name, value.replace("\x00", ""))
    for flag in (IS_EMULATOR.name, IS_PROD.name):
        if flag in body:
            body[flag] = body[flag] == "true"
    return body


def _naming_the_device(limit: Limit) -> Limit:
    """The limit list, whose refusals name the device too on this route (contract: device 1.3)."""

    def limited(app_id: str, device_id: str) -> Refusal | None:
        if limit(app_id, device_id) is None:
            return None
        return too_many_requests({"app_id": app_id} | ({"device_id": device_id} if device_id else {}))

    return limited


def _call(operation: Operation, body: dict[str, Any]) -> ChannelCall:
    def text(name: str) -> str:
        value = body.get(name)
        return value if isinstance(value, str) else ""

    return ChannelCall(
        operation=operation,
        app_id=body["app_id"],
        device_id=text("device_id")[:_LONGEST_DEVICE_ID],
        version_name=text("version_name"),
        version_build=text("version_build") or "builtin",
        platform=body["platform"],
        plugin_version=text("plugin_version") or "0.0.0",
        is_emulator=body["is_emulator"],
        is_prod=body["is_prod"],
        channel=text("channel"),
        default_channel=text("defaultChannel"),
        install_source=normal_install_source(text("install_source")),
        key_id=text("key_id"),
        version_os=text("version_os"),
        custom_id=normal_custom_id(body.get("custom_id")),
    )
