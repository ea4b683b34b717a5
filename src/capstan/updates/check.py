"""The question of an update check: bytes in, an `UpdateCheck` or the exact refusal out (contract: device 1.1, 1.2).

A well-formed request takes a short way that only confirms it is well-formed. Everything else takes the long way, which
walks the contract's steps in order; it may still end in an `UpdateCheck` (a byte order mark, `null` flags).
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from capstan.updates.body import Limit, Refusal, decode_body, schema_refusal, settle_body, unlimited
from capstan.updates.fields import (
    APP_ID,
    DEFAULT_CHANNEL,
    DEVICE_ID,
    INSTALL_SOURCE,
    IS_EMULATOR,
    IS_PROD,
    KEY_ID,
    PLATFORM,
    PLUGIN_VERSION,
    VERSION_BUILD,
    VERSION_NAME,
    Field,
    check_fields,
    is_app_id,
    is_device_id,
    utf16_length,
)
from capstan.updates.semver_policy import (
    BLANKS,
    BUILTIN_NAME,
    NativeVersion,
    PluginFeatures,
    Semver,
    native_version,
    plugin_features,
)
from capstan.updates.snapshot import Platform

FIELDS_UPDATES: tuple[Field, ...] = (
    APP_ID,
    DEVICE_ID,
    msgspec.structs.replace(VERSION_NAME, filled=True),
    msgspec.structs.replace(VERSION_BUILD, filled=True),
    IS_EMULATOR,
    IS_PROD,
    PLATFORM,
    PLUGIN_VERSION,
    DEFAULT_CHANNEL,
    INSTALL_SOURCE,
    KEY_ID,
)


class UpdateCheck(Struct, frozen=True, gc=False):
    """A valid update check. Absent texts are empty.

    `version_name` is what the device runs, `raw_version_name` before `builtin` was replaced. `version_build` is the
    repaired native version and `native` its value, None if its numbers are too large. `custom_id` and `install_source`
    are normalised.
    """

    app_id: str
    device_id: str
    version_name: str
    raw_version_name: str
    version_build: str
    native: Semver | None
    platform: Platform
    plugin_version: str
    plugin: PluginFeatures
    is_emulator: bool
    is_prod: bool
    default_channel: str
    install_source: str
    key_id: str
    version_os: str
    custom_id: str


class _Wire(Struct, gc=False):
    """The members of the body that are used, with the types they have when nothing is wrong."""

    app_id: str
    device_id: str
    version_name: str
    version_build: str
    platform: Platform
    plugin_version: str
    is_emulator: bool | None = False
    is_prod: bool | None = True
    defaultChannel: str = ""  # noqa: N815 - the wire's name
    install_source: str = ""
    key_id: str = ""
    version_os: Any = ""
    custom_id: Any = ""


_decode = msgspec.json.Decoder(_Wire).decode


def parse_check(raw: bytes, limit: Limit = unlimited) -> UpdateCheck | Refusal:
    """Read the body of `POST /updates`; `limit` is asked at its place in the order, after the body is read."""
    try:
        wire = _decode(raw)
    except (ValueError, RecursionError):
        return _parse_in_steps(raw, limit)
    wire.device_id = device_id = wire.device_id.lower()
    plugin = plugin_features(wire.plugin_version)
    native = native_version(wire.version_build)
    if (
        native is None
        or not plugin.well_formed
        or not wire.version_name
        or not is_device_id(device_id)
        or not is_app_id(wire.app_id)
        or _is_too_long(wire.install_source, INSTALL_SOURCE)
        or _is_too_long(wire.key_id, KEY_ID)
    ):
        return _parse_in_steps(raw, limit)
    return limit(wire.app_id, device_id) or _check(wire, native, plugin)


def check_body(body: object, limit: Limit = unlimited) -> UpdateCheck | Refusal:
    """The same for a body that is decoded already; a dict is changed in place."""
    raw_version_name = body.get("version_name") if isinstance(body, dict) else None
    settled = settle_body(body, limit)
    if isinstance(settled, Refusal):
        return settled
    issues = check_fields(FIELDS_UPDATES, settled)
    if issues:
        return schema_refusal("invalid_json_body", issues)
    wire = msgspec.convert(settled, _Wire)
    if raw_version_name == BUILTIN_NAME:
        wire.version_name = BUILTIN_NAME
    native = native_version(wire.version_build)
    assert native is not None, "a repaired version_build can be read again"
    return _check(wire, native, plugin_features(wire.plugin_version))


def _parse_in_steps(raw: bytes, limit: Limit) -> UpdateCheck | Refusal:
    body = decode_body(raw)
    return body if isinstance(body, Refusal) else check_body(body, limit)


def _is_too_long(text: str, field: Field) -> bool:
    return bool(text) and field.longest is not None and utf16_length(text) > field.longest


def _check(wire: _Wire, native: NativeVersion, plugin: PluginFeatures) -> UpdateCheck:
    raw_name = wire.version_name
    return UpdateCheck(
        wire.app_id,
        wire.device_id,
        native.text if raw_name == BUILTIN_NAME else raw_name,
        raw_name,
        native.text,
        native.semver,
        wire.platform,
        wire.plugin_version,
        plugin,
        bool(wire.is_emulator),
        wire.is_prod is not False,
        wire.defaultChannel,
        normal_install_source(wire.install_source),
        wire.key_id,
        wire.version_os if isinstance(wire.version_os, str) else "",
        normal_custom_id(wire.custom_id),
    )


def normal_install_source(text: str) -> str:
    """Trimmed and in lower case; empty if blank (contract: device 1.1)."""
    return text and text.strip(BLANKS).lower()


def normal_custom_id(value: object) -> str:
    """Trimmed; empty if blank or not a text (contract: device 2.5)."""
    return value.strip(BLANKS) if isinstance(value, str) else ""
