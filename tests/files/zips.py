"""Zips for the tests, good and hostile."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from collections.abc import Mapping

from capstan.files.archive import ArchiveLimits

LIMITS = ArchiveLimits(max_zip_bytes=1 << 26, max_entries=5000, max_unpacked_bytes=1 << 28, max_ratio=200)
PAGE = b"<!doctype html><title>app</title>"


def zip_of(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(raw_entry(name, method), content)
    return target.getvalue()


def raw_entry(name: str, method: int = zipfile.ZIP_DEFLATED) -> zipfile.ZipInfo:
    """An entry with exactly this name, which the constructor would cut at a NUL."""
    entry = zipfile.ZipInfo("x")
    entry.filename = entry.orig_filename = name
    entry.compress_type = method
    return entry


def text(size: int, seed: int = 1) -> bytes:
    """Words that compress about as well as a web app's script."""
    dice = random.Random(seed)
    words = [bytes(dice.choices(b"abcdefghijklmnop", k=dice.randint(2, 9))) for _ in range(400)]
    pieces: list[bytes] = []
    length = 0
    while length <= size:
        pieces.append(dice.choice(words))
        length += len(pieces[-1]) + 1
    return b" ".join(pieces)[:size]


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def patched(zip_bytes: bytes, *, local: Mapping[int, bytes] | None = None, central: Mapping[int, bytes]) -> bytes:
    """The zip with bytes of its last entry's headers replaced, by their offset from the header's signature."""
    data = bytearray(zip_bytes)
    for magic, changes in ((b"PK\3\4", local or {}), (b"PK\1\2", central)):
        start = data.rindex(magic)
        for offset, content in changes.items():
            data[start + offset : start + offset + len(content)] = content
    return bytes(data)


def flagged(zip_bytes: bytes, flags: int) -> bytes:
    packed = struct.pack("<H", flags)
    return patched(zip_bytes, local={6: packed}, central={8: packed})


def overlapping() -> bytes:
    """A second entry in the directory whose header and content lie inside the first entry's content."""
    inner = zip_of({"b.js": b"boo"}, zipfile.ZIP_STORED)
    inner_local = inner[: inner.index(b"PK\1\2")]
    outer = zip_of({"index.html": inner_local + PAGE}, zipfile.ZIP_STORED)
    directory = outer.index(b"PK\1\2")
    end = outer.rindex(b"PK\5\6")
    second = bytearray(inner[inner.index(b"PK\1\2") : inner.rindex(b"PK\5\6")])
    second[42:46] = struct.pack("<I", outer.index(inner_local))
    entries = outer[directory:end] + bytes(second)
    return outer[:directory] + entries + end_record(2, len(entries), directory)


def end_record(count: int, size: int, offset: int) -> bytes:
    return struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, size, offset, 0)
