"""What the requests of a resumable upload say, read from paths and headers alone (contract: device 4.3)."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from capstan.errors import Problem
from capstan.files.keys import AppKey, parse_key

CONTENT_TYPE = "application/offset+octet-stream"
MAX_KEY_BYTES = 2048
"""A key is indexed, and PostgreSQL takes at most some 2,700 bytes there. The longest keys of the command line have
about 1,000 and a path."""

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}", re.ASCII)
# What JavaScript's encodeURIComponent leaves alone.
_UNRESERVED = "!*'()-._~"


@dataclass(frozen=True, slots=True)
class Creation:
    """A well-formed request for a new upload. `length` is None if it will be told later; `checksum` is as it came."""

    length: int | None
    metadata: str
    checksum: str | None
    has_body: bool


def key_of_path(raw: bytes) -> str:
    """The key in a path, decoded exactly once. Raises `invalid_file_path_encoding`."""
    try:
        path = raw.decode()
        if _BROKEN_ESCAPE.search(path):
            raise ValueError("broken escape")
        return unquote_to_bytes(path).decode()
    except ValueError:
        raise Problem("invalid_file_path_encoding", "Invalid attachment file path encoding") from None


def key_in_path(key: str) -> str:
    """The key as a part of a path, from which `key_of_path` finds it again."""
    return "/".join(quote(segment, safe=_UNRESERVED) for segment in key.split("/"))


def key_of_metadata(metadata: str) -> str:
    """The key that `Upload-Metadata` names. Raises `not_found` (404) if it names none, `unknown_error` (400)."""
    filename = None
    for entry in metadata.split(",") if metadata.strip() else ():
        name, _, value = entry.strip().partition(" ")
        if not name:
            raise Problem("unknown_error", "Unknown error")
        if name == "filename":
            filename = _decoded(value.strip())
    if filename and "/" not in filename and _BASE64.fullmatch(filename):
        # Some clients encode what is encoded already.
        filename = _decoded(filename) or filename
    if not filename:
        raise Problem("not_found", "Not found", status=404)
    return filename


def checked_key(key: str) -> AppKey:
    """The key and the app it belongs to. Raises `invalid_file_path`."""
    parsed = parse_key(key)
    if parsed is None or "\0" in key or len(key.encode()) > MAX_KEY_BYTES:
        raise Problem("invalid_file_path", "Invalid file path structure. Expected: orgs/{owner_org}/apps/{app_id}/...")
    return parsed


def creation(headers: Mapping[str, str]) -> Creation:
    """What a POST asks for. Raises Problem for headers that are missing or wrong, in the contract's order."""
    with_body = has_body(headers)
    content_type = headers.get("content-type")
    if content_type is not None and content_type != CONTENT_TYPE:
        raise Problem("invalid_content_type", f"Content-Type must be {CONTENT_TYPE}", status=415)
    if with_body and content_type is None:
        raise Problem("missing_content_type", f"A body needs the Content-Type {CONTENT_TYPE}", status=415)
    length = number(headers.get("upload-length"))
    deferred = headers.get("upload-defer-length")
    if length is None and deferred is None:
        raise Problem("missing_upload_length", "Upload-Length or Upload-Defer-Length is needed")
    if deferred is not None and deferred != "1":
        raise Problem("bad_upload_defer_length", "Upload-Defer-Length must be 1")
    return Creation(length, headers.get("upload-metadata", ""), headers.get("x-checksum-sha256"), with_body)


def has_body(headers: Mapping[str, str]) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def number(text: str | None) -> int | None:
    """A count of bytes; None for anything else."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else None


def _decoded(text: str) -> str | None:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True).decode()
    except ValueError:
        return None
