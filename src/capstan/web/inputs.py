"""Reading an endpoint's input from the body or the query, and turning it into its Struct (contract: public 2.2)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec import Meta

from capstan.errors import Problem

T = TypeVar("T", bound=msgspec.Struct)

PAGE_SIZE = 50
PageNumber = Annotated[int, Meta(ge=0, le=2**53 - 1)]
"""Zero-based (contract: public 2.4, CD-38). Bounded so that no offset made from it leaves 64 bits."""

_MIN_INTEGER, _MAX_INTEGER = -(2**63), 2**63 - 1
_NUMBER = re.compile(r"-?[0-9]{1,19}(\.[0-9]{1,19})?", re.ASCII)
_NOT_JSON = object()


class Unchecked:
    """A member whose type and range its room checks itself, because the contract gives that a code and a place of its
    own. A value from a query that reads as a number is one.

    No dataclass: msgspec would take it for the shape of an object.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass(frozen=True, slots=True)
class RawInput:
    """Members as they came. Values from a query are all text and are coerced by the Struct's types (CD-2)."""

    values: dict[str, Any]
    from_query: bool

    def without(self, names: Collection[str]) -> RawInput:
        return RawInput({name: value for name, value in self.values.items() if name not in names}, self.from_query)


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


def convert(raw: RawInput, path_values: dict[str, str], kind: type[T], *, snake_case_aliases: bool = False) -> T:
    """The input Struct, path values included. Raises Problem `invalid_body` naming the member that does not fit.

    With `snake_case_aliases` a member may also be called as its attribute is; its own name wins.
    """
    values = _with_aliases(raw.values, kind) if snake_case_aliases else raw.values
    try:
        if raw.from_query:
            given = msgspec.convert({**values, **path_values}, kind, strict=False, dec_hook=_text_unchecked)
        else:
            given = msgspec.convert({**values, **_coerced_path(path_values, kind)}, kind, dec_hook=_unchecked)
    except msgspec.ValidationError as error:
        raise invalid_body(str(error)) from None
    _refuse_unstorable([values, *msgspec.structs.astuple(given)])
    return given


def invalid_body(message: str) -> Problem:
    """The schema failure of contract public 4.2."""
    text, _, path = message.partition(" - at `$")
    issue = {"message": text, "path": [part for part in path.rstrip("`").split(".") if part]}
    return Problem("invalid_body", "Invalid body", more={"error": {"name": "SchemaError", "issues": [issue]}})


def _parse(body: bytes) -> Any:
    try:
        return _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _NOT_JSON


def _number(text: str) -> int | float:
    """JSON knows one kind of number: 3.0 and 3e2 are integers for whoever asks for one."""
    number = float(text)
    return int(number) if number.is_integer() and abs(number) <= _MAX_INTEGER else number


_decode = msgspec.json.Decoder(float_hook=_number).decode


def _with_aliases(values: dict[str, Any], kind: type[msgspec.Struct]) -> dict[str, Any]:
    renamed = {
        field.encode_name: values[field.name]
        for field in msgspec.structs.fields(kind)
        if field.name in values and values.get(field.encode_name) is None
    }
    return {**values, **renamed}


def _unchecked(kind: type, value: Any) -> Any:
    assert kind is Unchecked, f"input of type {kind} cannot be read"
    return Unchecked(value)


def _text_unchecked(kind: type, value: Any) -> Any:
    if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
        return _unchecked(kind, value)
    return _unchecked(kind, float(value) if "." in value else int(value))


def _refuse_unstorable(values: list[Any]) -> None:
    """Refuse what no database column takes, wherever it stands: NUL in a text, integers beyond 64 bits."""
    while values:
        value = values.pop()
        if isinstance(value, str):
            if "\0" in value:
                raise invalid_body("Text may not contain NUL")
        elif isinstance(value, int):
            if not _MIN_INTEGER <= value <= _MAX_INTEGER:
                raise invalid_body("Numbers may not be larger than 64 bits")
        elif isinstance(value, dict):
            values.extend(value.keys())
            values.extend(value.values())
        elif isinstance(value, list):
            values.extend(value)


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
