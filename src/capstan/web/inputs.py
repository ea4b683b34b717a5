"""Reading an endpoint's input from the body or the query, and turning it into its Struct (contract: public 2.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec

from capstan.errors import Problem

T = TypeVar("T", bound=msgspec.Struct)
_NOT_JSON = object()


@dataclass(frozen=True, slots=True)
class RawInput:
    """Members as they came. Values from a query are all text and are coerced by the Struct's types (CD-2)."""

    values: dict[str, Any]
    from_query: bool


def parse_query(query_string: str) -> dict[str, str]:
    """The query's members; of a repeated key the first value counts."""
    values: dict[str, str] = {}
    for name, value in parse_qsl(query_string, keep_blank_values=True):
        values.setdefault(name, value)
    return values


def body_or_query(*, reads: bool, query: dict[str, str], body: bytes, accepts_empty: bool) -> RawInput:
    """Choose between body and query; never merge them.

    `reads` is true for GET. Raises Problem `invalid_json_parse_body` where neither has anything to say.
    """
    parsed = _parse(body)
    if isinstance(parsed, dict) and parsed:
        return RawInput(_with_lower_device_id(parsed), from_query=False)
    if parsed is _NOT_JSON or parsed in ({}, None, []):
        if query:
            return RawInput(_with_lower_device_id(dict(query)), from_query=True)
        if parsed is _NOT_JSON and reads:
            return RawInput({}, from_query=True)
        if parsed == {} and accepts_empty:
            return RawInput({}, from_query=False)
    raise Problem("invalid_json_parse_body", "Invalid JSON body", more={"e": {}})


def convert(raw: RawInput, path_values: dict[str, str], kind: type[T]) -> T:
    """The input Struct, path values included. Raises Problem `invalid_body` naming the member that does not fit."""
    try:
        if raw.from_query:
            return msgspec.convert({**raw.values, **path_values}, kind, strict=False)
        lenient = _coerced_path(path_values, kind)
        return msgspec.convert({**raw.values, **lenient}, kind)
    except msgspec.ValidationError as error:
        raise invalid_body(str(error)) from None


def invalid_body(message: str) -> Problem:
    """The schema failure of contract public 4.2."""
    text, _, path = message.partition(" - at `$")
    issue = {"message": text, "path": [part for part in path.rstrip("`").split(".") if part]}
    return Problem("invalid_body", "Invalid body", more={"error": {"name": "SchemaError", "issues": [issue]}})


def _parse(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOT_JSON


def _with_lower_device_id(values: dict[str, Any]) -> dict[str, Any]:
    device_id = values.get("device_id")
    return {**values, "device_id": device_id.lower()} if isinstance(device_id, str) else values


def _coerced_path(path_values: dict[str, str], kind: type[msgspec.Struct]) -> dict[str, Any]:
    fields = {item.encode_name: item.type for item in msgspec.structs.fields(kind)}
    return {
        name: msgspec.convert(value, fields[name], strict=False)
        for name, value in path_values.items()
        if name in fields
    }
