"""One event of `POST /stats`: a member of the body in, a `StatsEvent` or the exact refusal out (contract: device 2.1).

What precedes it (the batch, its app id) is the endpoint's (2.2); what an event does to telemetry is not decided here.
A missing `action`, which crashed upstream, is refused like one of the wrong type (7.9).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from capstan.updates.actions import ACTION_SET, ACTIONS
from capstan.updates.body import Refusal, schema_refusal, settle_body, unlimited
from capstan.updates.check import normal_custom_id, normal_install_source
from capstan.updates.fields import (
    APP_ID,
    DEFAULT_CHANNEL,
    DEVICE_ID,
    INSTALL_SOURCE,
    IS_EMULATOR,
    IS_PROD,
    KEY_ID,
    VERSION_NAME,
    Field,
    Issue,
    check_fields,
    optional_text,
    utf16_length,
)
from capstan.updates.semver_policy import BUILTIN_NAME, PluginFeatures, plugin_features

MAX_METADATA = 30
MAX_METADATA_KEY = 64
MAX_METADATA_VALUE = 2048


def _metadata_issues(metadata: dict[str, Any]) -> Iterator[Issue]:
    if len(metadata) > MAX_METADATA:
        yield Issue(f"metadata must contain at most {MAX_METADATA} fields", ("metadata",))
    for key, value in metadata.items():
        path = (f"metadata.{key}",)
        if utf16_length(key) > MAX_METADATA_KEY:
            yield Issue(f"metadata keys must contain at most {MAX_METADATA_KEY} characters", path)
        if not isinstance(value, str):
            yield Issue("metadata values must be strings", path)
        elif utf16_length(value) > MAX_METADATA_VALUE:
            yield Issue(f"metadata values must contain at most {MAX_METADATA_VALUE} characters", path)


FIELDS_STATS: tuple[Field, ...] = (
    APP_ID,
    DEVICE_ID,
    Field(name="platform", required="Platform is required", wrong_type="Platform must be a string"),
    VERSION_NAME,
    Field(name="version_os", required="Version OS is required", wrong_type="Version OS must be a string"),
    IS_EMULATOR,
    IS_PROD,
    DEFAULT_CHANNEL,
    optional_text("channel"),
    optional_text("old_version_name"),
    optional_text("version_code"),
    optional_text("plugin_version"),
    INSTALL_SOURCE,
    optional_text("custom_id", 36),
    KEY_ID,
    Field(
        name="action",
        required="action must be a string",
        wrong_type="action must be a string",
        accepts=ACTION_SET.__contains__,
        refused=f"action must be one of: {', '.join(ACTIONS)}",
    ),
    Field(
        name="metadata",
        wrong_type="metadata must be an object with string values",
        kind=dict,
        inside=_metadata_issues,
    ),
    optional_text("version_build"),
)


class StatsEvent(Struct, frozen=True, gc=False, kw_only=True):
    """A valid event. Absent texts are empty, absent metadata is None.

    `version_name` may be `<bundle>:<file>`; `raw_version_name` is what was sent before `builtin` was replaced.
    `version_build` is repaired; `custom_id` and `install_source` are normalised. A missing `plugin_version` is read as
    `0.0.0` (contract: device 3.2). `timestamp` is what the sender stamped the event with, None if it did not: it tells
    a repeated event from a new one and is never taken for the time (contract: device 2.1, 7.9).
    """

    app_id: str
    device_id: str
    action: str
    platform: str
    version_name: str
    raw_version_name: str
    version_build: str
    version_os: str
    plugin_version: str
    is_emulator: bool
    is_prod: bool
    default_channel: str
    old_version_name: str
    install_source: str
    custom_id: str
    key_id: str
    metadata: dict[str, str] | None
    timestamp: int | float | None = None

    @property
    def bundle_name(self) -> str:
        """The bundle that the event is about: `version_name` without the file behind the first colon."""
        name, colon, _file = self.version_name.partition(":")
        return name if colon and name else self.version_name

    @property
    def plugin(self) -> PluginFeatures:
        return plugin_features(self.plugin_version or "0.0.0")


def parse_event(item: dict[str, Any]) -> StatsEvent | Refusal:
    """Read one event, single or member of a batch; `item` is changed in place."""
    was_builtin = item.get("version_name") == BUILTIN_NAME
    body = settle_body(item, unlimited)
    if isinstance(body, Refusal):
        return body
    issues = check_fields(FIELDS_STATS, body)
    if issues:
        return schema_refusal("invalid_json_body", issues)
    version_name = body["version_name"]
    return StatsEvent(
        app_id=body["app_id"],
        device_id=body["device_id"],
        action=body["action"],
        platform=body["platform"],
        version_name=version_name,
        raw_version_name=BUILTIN_NAME if was_builtin else version_name,
        version_build=body.get("version_build", ""),
        version_os=body["version_os"],
        plugin_version=body.get("plugin_version", ""),
        is_emulator=body["is_emulator"],
        is_prod=body["is_prod"],
        default_channel=body.get("defaultChannel", ""),
        old_version_name=body.get("old_version_name", ""),
        install_source=normal_install_source(body.get("install_source", "")),
        custom_id=normal_custom_id(body.get("custom_id")),
        key_id=body.get("key_id", ""),
        metadata=body.get("metadata"),
        timestamp=_timestamp(body.get("timestamp")),
    )


def _timestamp(value: object) -> int | float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
