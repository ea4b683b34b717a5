"""From the bytes of a device's request to a body that can be checked field by field, or to the exact refusal.

These are the steps that all device routes share (contract: device 1.2 steps 1 to 9, 2.4, 3.1). What crashed upstream
(a null body, a `device_id` or `version_build` that is no text) is refused here like any other malformed body (7.9).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from capstan.updates.fields import Issue
from capstan.updates.semver_policy import BUILTIN_NAME, native_version

_BOM = b"\xef\xbb\xbf"


class Refusal(Struct, frozen=True, gc=False):
    """A request that is not answered: the HTTP status and the thrown error of contract: device 0.2."""

    status: int
    code: str
    message: str
    more: Any

    def body(self) -> bytes:
        try:
            return self._encoded(self.more)
        except RecursionError:
            # An echoed body may be nested as deep as the decoder allows, which is deeper than the encoder has left.
            return self._encoded({})

    def _encoded(self, more: Any) -> bytes:
        return msgspec.json.encode({"error": self.code, "message": self.message, "moreInfo": more})


Limit: TypeAlias = Callable[[str, str], Refusal | None]
"""Asked with app id and device id (lower-case, empty if there is none): the refusal of a limited app, or None."""


def unlimited(_app_id: str, _device_id: str) -> None:
    """The limit of a server whose operator limits no app."""


def too_many_requests(more: dict[str, Any]) -> Refusal:
    return Refusal(429, "too_many_requests", "Too many requests", more)


def schema_refusal(code: str, issues: Iterable[Issue]) -> Refusal:
    """The refusal that lists issues; `code` is `invalid_json_body` or `invalid_query_parameters`."""
    result = {"success": False, "error": {"name": "SchemaError", "issues": tuple(issues)}}
    return Refusal(400, code, "Cannot parse body", {"parseResult": result})


def decode_body(raw: bytes) -> object:
    """The JSON value of `raw`, or a `Refusal`. A byte order mark is skipped and broken UTF-8 is replaced."""
    try:
        return msgspec.json.decode(raw)
    except (ValueError, RecursionError):
        pass
    try:
        return msgspec.json.decode(raw.removeprefix(_BOM).decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return Refusal(400, "invalid_json_parse_body", "Invalid JSON body", {"e": {}})


def settle_body(
    body: object, limit: Limit, *, code: str = "invalid_json_body", needs_device: bool = True
) -> dict[str, Any] | Refusal:
    """Steps 2 to 9: the body with its device id, versions and flags in order (changed in place), or a refusal."""
    if isinstance(body, dict):
        _lower_device_id(body)
        limited = _limited(body, limit)
        if limited is not None:
            return limited
    if not body or isinstance(body, (bool, int, float)):
        return Refusal(400, code, "Cannot parse body", {"body": body})
    if not isinstance(body, dict) or (needs_device and is_falsy(body.get("device_id"))):
        return Refusal(400, "missing_device_id", "Cannot find device_id", {"body": body})
    if is_falsy(body.get("app_id")):
        return Refusal(400, "missing_app_id", "Cannot find app_id", {"body": body})
    return _settle_versions(body) or body


def is_falsy(value: object) -> bool:
    """Falsy as the protocol's first server meant it: an empty list or object is not."""
    return not value and not isinstance(value, (list, dict))


def _lower_device_id(body: dict[str, Any]) -> None:
    device_id = body.get("device_id")
    if isinstance(device_id, str):
        body["device_id"] = device_id.lower()


def _limited(body: dict[str, Any], limit: Limit) -> Refusal | None:
    app_id, device_id = body.get("app_id"), body.get("device_id")
    if not isinstance(app_id, str):
        return None
    return limit(app_id, device_id if isinstance(device_id, str) else "")


def _settle_versions(body: dict[str, Any]) -> Refusal | None:
    build = body.get("version_build")
    if isinstance(build, str) and build:
        native = native_version(build)
        if native is None:
            return Refusal(400, "semver_error", native_semver_message(build), {"version_build": build})
        body["version_build"] = native.text
    if body.get("is_emulator") is None:
        body["is_emulator"] = False
    if body.get("is_prod") is None:
        body["is_prod"] = True
    if body.get("version_name") == BUILTIN_NAME:
        del body["version_name"]
        if "version_build" in body:
            body["version_name"] = body["version_build"]
    return None


def native_semver_message(version_build: str) -> str:
    return (
        f"Native version: {version_build} doesn't follow semver convention, please check "
        "https://capgo.app/semver_tester/ to learn more about semver usage in Capgo"
    )
