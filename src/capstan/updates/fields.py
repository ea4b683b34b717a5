"""What each field of a device's request must be, as data, and the one function that checks a body against it.

A route has a tuple of `Field` in the order in which its issues are listed (contract: device 1.2, 2.1, 3.1). The
messages are part of the wire. Lengths are in UTF-16 code units, as the protocol's clients count.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from capstan.updates.semver_policy import plugin_features
from capstan.updates.snapshot import PLATFORMS

_APP_ID = re.compile(r"[A-Za-z0-9]+(?:\.[A-Za-z0-9_-]+)+")
_DEVICE_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")

APP_ID_REQUIRED = "App ID is required"
APP_ID_MALFORMED = "App ID must be a reverse domain string"


class Issue(Struct, frozen=True, gc=False):
    """One thing that is wrong with a body, in the shape in which it is told."""

    message: str
    path: tuple[str, ...]
    code: str = "custom"


class Field(Struct, frozen=True, gc=False, kw_only=True):
    """What one field must be.

    `required`: the message if it is absent, None if it may be. `filled`: the empty text counts as absent. `longest`: in
    UTF-16 code units. `accepts` and `refused`: a syntax and the message of a text that does not have it. `inside`: the
    issues of what a value of the right type holds.
    """

    name: str
    wrong_type: str
    required: str | None = None
    kind: type = str
    filled: bool = False
    longest: int | None = None
    accepts: Callable[[str], object] | None = None
    refused: str = ""
    inside: Callable[[Any], Iterable[Issue]] | None = None


def is_app_id(text: str) -> bool:
    """Whether `text` is a reverse domain name (contract: device 0.4)."""
    return _APP_ID.fullmatch(text) is not None


def is_device_id(text: str) -> bool:
    """Whether `text` is a lower-case UUID of any version (contract: device 0.4)."""
    return _DEVICE_ID.fullmatch(text) is not None


def app_id_complaint(value: object) -> str | None:
    """Why `value` cannot be the `app_id` of an event, or None (contract: device 2.2 steps 4 and 5)."""
    if not isinstance(value, str):
        return APP_ID_REQUIRED
    return None if is_app_id(value) else APP_ID_MALFORMED


def utf16_length(text: str) -> int:
    """The length of `text` as the protocol counts it."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _is_platform(text: str) -> bool:
    return text in PLATFORMS


def _is_plugin_version(text: str) -> bool:
    return plugin_features(text).well_formed


def optional_text(name: str, longest: int | None = None) -> Field:
    """A text that may be absent, but not null."""
    return Field(name=name, wrong_type=f"{name} must be a string", longest=longest)


def flag(name: str) -> Field:
    return Field(name=name, wrong_type=f"{name} must be a boolean", kind=bool)


APP_ID = Field(
    name="app_id",
    required=APP_ID_REQUIRED,
    wrong_type="App ID must be a string",
    accepts=is_app_id,
    refused=APP_ID_MALFORMED,
)
DEVICE_ID = Field(
    name="device_id",
    required="Device ID is required",
    wrong_type="Device ID must be a string",
    longest=36,
    accepts=is_device_id,
    refused="Device ID must be a valid UUID string",
)
VERSION_NAME = Field(
    name="version_name",
    required="Version name is required",
    wrong_type="Version name must be a string",
)
VERSION_BUILD = Field(
    name="version_build",
    required="Version build is required",
    wrong_type="Version build must be a string",
)
PLATFORM = Field(
    name="platform",
    required="Platform is required",
    wrong_type="Platform is not supported or invalid",
    accepts=_is_platform,
    refused="Platform is not supported or invalid",
)
PLUGIN_VERSION = Field(
    name="plugin_version",
    required="plugin_version is required",
    wrong_type="Plugin version is invalid",
    accepts=_is_plugin_version,
    refused="Plugin version is invalid",
)
IS_EMULATOR = flag("is_emulator")
IS_PROD = flag("is_prod")
DEFAULT_CHANNEL = optional_text("defaultChannel")
INSTALL_SOURCE = optional_text("install_source", 64)
KEY_ID = optional_text("key_id", 20)


def check_fields(fields: Iterable[Field], body: Mapping[str, Any]) -> list[Issue]:
    """Everything that is wrong with `body`, in the order of `fields`; other members of the body are not looked at."""
    issues: list[Issue] = []
    for field in fields:
        if field.name not in body:
            if field.required is not None:
                issues.append(Issue(field.required, (field.name,)))
            continue
        value = body[field.name]
        complaint = _complaint(field, value)
        if complaint is not None:
            issues.append(Issue(complaint, (field.name,)))
        elif field.inside is not None:
            issues.extend(field.inside(value))
    return issues


def _complaint(field: Field, value: Any) -> str | None:
    if not isinstance(value, field.kind):
        return field.wrong_type
    return _text_complaint(field, value) if isinstance(value, str) else None


def _text_complaint(field: Field, text: str) -> str | None:
    if field.filled and not text:
        return field.required
    if field.longest is not None and utf16_length(text) > field.longest:
        return f"String must contain at most {field.longest} character(s)"
    if field.accepts is not None and not field.accepts(text):
        return field.refused
    return None
