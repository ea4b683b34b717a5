"""NUL in texts: PostgreSQL cannot store it and it means nothing, so it is taken out of what devices send."""

from __future__ import annotations

from typing import Any

import msgspec

ESCAPED_NULL = b"\\u0000"
"""Only a body with these bytes can hold a NUL: JSON has no other way to write one."""


def without_nulls(raw: bytes) -> bytes:
    """The body with NUL removed from all texts; as it came if it is not JSON, which is refused elsewhere."""
    try:
        return msgspec.json.encode(_clean(msgspec.json.decode(raw)))
    except (ValueError, RecursionError):
        return raw


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\x00", "")
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    return value
