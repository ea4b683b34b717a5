"""Update answers with a manifest: encoded and compressed once for a bundle, and kept within a number of bytes.

A manifest has thousands of entries, and only the device id in the zip's URL differs from device to device. So the
answer is cut behind that id: the head is made for each device, the tail is shared (contract: device 1.9).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import quote, unquote

import msgspec
from msgspec import Struct

from capstan.updates.decision import Decision
from capstan.updates.gzip_member import DeflatedTail, deflate_tail, gzip_member
from capstan.updates.reply import READ_PATH, shows_metadata, zip_url
from capstan.updates.snapshot import Bundle, ManifestFile

_UNRESERVED = "!'()*"
"""What ECMAScript's `encodeURIComponent` leaves as it is, beside what `quote` does."""


BodyKey: TypeAlias = tuple[Bundle | None, str, bool]


class ManifestBody(Struct, frozen=True, gc=False):
    """One bundle's answer for all devices.

    `before` stands in front of the device id and `tail` behind it; a bundle without a zip has no device id in its
    answer, and then everything is in `tail`.
    """

    before: bytes
    names_device: bool
    tail: bytes
    deflated: DeflatedTail

    @property
    def size(self) -> int:
        """The memory it takes, in bytes."""
        return len(self.before) + len(self.tail) + len(self.deflated.deflated)

    def plain(self, device_id: str) -> bytes:
        """The JSON for a device."""
        return self._head(device_id) + self.tail

    def gzipped(self, device_id: str) -> bytes:
        """The same as one gzip member."""
        return gzip_member(self._head(device_id), self.deflated)

    def _head(self, device_id: str) -> bytes:
        return self.before + device_id.encode() if self.names_device else self.before


def manifest_body(decision: Decision, origin: str, rows: Iterable[ManifestFile]) -> ManifestBody:
    """Encode and compress the answer of a decision that `wants_manifest`; costs milliseconds for a large bundle.

    `rows` are the bundle's manifest rows in the order in which they are sent; a row without all of its three texts is
    left out, for it makes clients fail.
    """
    bundle = decision.bundle
    assert bundle is not None, "an update has a bundle"
    # A zip's URL ends with the device id, so the head is cut in front of the quote that closes the URL.
    head = msgspec.json.encode({"version": bundle.name, "url": zip_url(bundle, origin, "")})[:-2]
    members: dict[str, object] = {"session_key": bundle.session_key or "", "checksum": bundle.checksum}
    manifest = [_entry(row, bundle.id, origin) for row in rows if row.file_name and row.file_hash and row.s3_path]
    if manifest:
        members["manifest"] = manifest
    if shows_metadata(decision):
        members.update({name: text for name, text in (("link", bundle.link), ("comment", bundle.comment)) if text})
    rest = b'",' + msgspec.json.encode(members)[1:]
    names_device = bool(bundle.r2_path)
    before, tail = (head, rest) if names_device else (b"", head + rest)
    return ManifestBody(before, names_device, tail, deflate_tail(tail))


def _entry(row: ManifestFile, bundle_id: int, origin: str) -> dict[str, str]:
    return {
        "file_name": sent_file_name(row),
        "file_hash": row.file_hash,
        "download_url": f"{origin}{READ_PATH}{row.s3_path}?key={bundle_id}",
    }


def sent_file_name(row: ManifestFile) -> str:
    """The name a device is told. Names stored percent-encoded by old uploads are decoded (contract: device 1.9)."""
    stored = row.file_name
    if "%" not in stored or not row.s3_path.endswith(f"_{stored}"):
        return stored
    try:
        segments = [unquote(segment, errors="strict") for segment in stored.split("/")]
    except UnicodeDecodeError:
        return stored
    if not all(_is_safe(segment) for segment in segments):
        return stored
    encoded_again = "/".join(quote(segment, safe=_UNRESERVED) for segment in segments)
    return "/".join(segments) if encoded_again == stored else stored


def _is_safe(segment: str) -> bool:
    return segment not in ("", ".", "..") and not any(mark in segment for mark in "/\\\0")


def body_key(decision: Decision, origin: str) -> BodyKey:
    """What two decisions have in common whose answers are the same but for the device."""
    return decision.bundle, origin, shows_metadata(decision)


class ManifestBodies:
    """The answers at hand, least recently used first, holding at most `max_bytes`. For one thread.

    The key is the bundle itself, so a bundle whose link, comment or files changed is another one.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._bodies: OrderedDict[BodyKey, ManifestBody] = OrderedDict()

    @property
    def size(self) -> int:
        """The bytes that are held, at most `max_bytes`."""
        return self._bytes

    def find(self, decision: Decision, origin: str) -> ManifestBody | None:
        """The answer for a decision that `wants_manifest`, if it is at hand."""
        key = body_key(decision, origin)
        body = self._bodies.get(key)
        if body is not None:
            self._bodies.move_to_end(key)
        return body

    def keep(self, decision: Decision, origin: str, body: ManifestBody) -> None:
        """Hold an answer, dropping others to make room; one that is larger than all the room is not held."""
        if body.size > self._max_bytes:
            return
        key = body_key(decision, origin)
        replaced = self._bodies.pop(key, None)
        self._bytes += body.size - (replaced.size if replaced is not None else 0)
        self._bodies[key] = body
        while self._bytes > self._max_bytes:
            _key, dropped = self._bodies.popitem(last=False)
            self._bytes -= dropped.size
