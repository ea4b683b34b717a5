"""A zip that somebody uploaded: judged before any of its content is used, then read with suspicion.

The list of entries comes from the central directory, as the standard library reads it. Devices may instead read the
headers beside each entry, from front to back; so the two must agree, and bytes may belong to one entry only. No size
that the zip states is believed: memory is bounded by the limits, and what an entry really unpacks to is counted.
"""

from __future__ import annotations

import io
import itertools
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from capstan.errors import Problem
from capstan.files.entry_names import check_apart, check_name, decode_name, shown

CHUNK = 1 << 18
"""Most bytes that reading an entry gives at once."""

_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_ENCRYPTED_FLAGS = 0x1 | 0x40 | 0x2000
_PATCHED_FLAG = 0x20
_UTF8_FLAG = 0x800
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DIRECTORY_BYTES_A_FILE = 512
_END_BYTES = (1 << 16) + 22
"""The end record with the longest comment, which is searched for at once."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """The most that a zip may be: bytes, files, bytes of all files together, and times larger when unpacked."""

    max_zip_bytes: int
    max_entries: int
    max_unpacked_bytes: int
    max_ratio: int


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """One file of the zip. `size` and `crc` are what the zip claims, which reading it verifies."""

    path: str
    size: int
    crc: int
    method: int
    packed_size: int
    offset: int


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip that passed all checks that need no unpacking. Safe to use from several threads."""

    zip_path: Path
    files: tuple[ArchiveFile, ...]

    @property
    def unpacked_size(self) -> int:
        return sum(file.size for file in self.files)

    def chunks(self, file: ArchiveFile) -> Iterator[bytes]:
        """The content of a file. Raises `zip_damaged` instead of giving more than it claims or ending wrongly."""
        crc = size = 0
        with self.zip_path.open("rb") as stream:
            stream.seek(file.offset)
            unpack = _inflate if file.method == zipfile.ZIP_DEFLATED else _copy
            for chunk in unpack(stream, file):
                size += len(chunk)
                if size > file.size:
                    raise _damaged(f"{shown(file.path)} unpacks to more than the zip says")
                crc = zlib.crc32(chunk, crc)
                yield chunk
        if size != file.size or crc != file.crc:
            raise _damaged(f"{shown(file.path)} does not match its checksum")


def open_archive(zip_path: Path, limits: ArchiveLimits) -> Archive:
    """Check a zip, except for what only unpacking can tell. Each rule refuses with its own code, see `errors.ERRORS`.

    Takes memory for the list of files, which the limits bound, and none for their content.
    """
    zip_size = zip_path.stat().st_size
    if zip_size > limits.max_zip_bytes:
        raise too_large(limits.max_zip_bytes)
    with _GuardedFile(zip_path, limits.max_entries) as stream:
        entries, directory_offset = _central_directory(stream)
        if len(entries) > limits.max_entries:
            raise _too_many(limits.max_entries)
        named = [(_checked_name(entry), entry) for entry in entries]
        _check_sizes(entries, zip_size, limits)
        files = _locate(stream, named, (directory_offset, zip_size))
    check_apart(name for name, _ in named)
    _check_index([file.path for file in files])
    return Archive(zip_path, tuple(files))


def too_large(max_zip_bytes: int) -> Problem:
    """The refusal of an upload that is larger than allowed, whoever notices it first."""
    return Problem(
        "bundle_too_large",
        f"A bundle may have at most {max_zip_bytes} bytes.",
        status=413,
        more={"maxBytes": max_zip_bytes},
    )


class _GuardedFile(io.FileIO):
    """A file that is never read in large pieces: `zipfile` takes the central directory at once, however long it is."""

    def __init__(self, path: Path, max_entries: int) -> None:
        super().__init__(path)
        self._max_entries = max_entries
        self._max_read = max(max_entries * _DIRECTORY_BYTES_A_FILE, _END_BYTES)

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            return super().read(self._max_read) or b""
        if size > self._max_read:
            raise _too_many(self._max_entries)
        return super().read(size) or b""


def _central_directory(stream: io.FileIO) -> tuple[Sequence[zipfile.ZipInfo], int]:
    try:
        with zipfile.ZipFile(stream) as archive:
            return archive.infolist(), archive.start_dir
    except UnicodeDecodeError:
        raise Problem(
            "zip_name_not_utf8",
            "A file name is marked as UTF-8 but is not UTF-8. Make the zip with a tool that writes UTF-8 names.",
        ) from None
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, OverflowError, struct.error) as error:
        raise _damaged(f"it cannot be read as a zip: {error}") from None


def _checked_name(entry: zipfile.ZipInfo) -> str:
    """The name of an entry that may be in a bundle at all."""
    marked = bool(entry.flag_bits & _UTF8_FLAG)
    raw = _raw_name(entry)
    name = decode_name(raw, marked_utf8=marked)
    check_name(name)
    if entry.flag_bits & _ENCRYPTED_FLAGS:
        raise Problem(
            "zip_encrypted", f"{shown(name)} has a password. Send a plain zip, or encrypt with the official CLI."
        )
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Problem(
            "zip_link",
            f"{shown(name)} is a link or a device. Replace links by what they point to.",
            more={"name": name},
        )
    if entry.compress_type not in _METHODS or entry.flag_bits & _PATCHED_FLAG:
        raise Problem(
            "zip_compression_unsupported",
            f"{shown(name)} is compressed with method {entry.compress_type}. Devices understand only deflate.",
        )
    return name


def _raw_name(entry: zipfile.ZipInfo) -> bytes:
    return entry.orig_filename.encode("utf-8" if entry.flag_bits & _UTF8_FLAG else "cp437")


def _check_sizes(entries: Sequence[zipfile.ZipInfo], zip_size: int, limits: ArchiveLimits) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > limits.max_unpacked_bytes:
        raise Problem(
            "zip_too_large_unpacked",
            f"The files have {unpacked} bytes together; at most {limits.max_unpacked_bytes} are allowed.",
            more={"bytes": unpacked, "maxBytes": limits.max_unpacked_bytes},
        )
    if unpacked > zip_size * limits.max_ratio:
        raise Problem(
            "zip_ratio_suspicious",
            f"The zip would become more than {limits.max_ratio} times larger, like a zip bomb.",
            more={"bytes": unpacked, "maxRatio": limits.max_ratio},
        )


def _locate(
    stream: io.FileIO, named: Sequence[tuple[str, zipfile.ZipInfo]], directory: tuple[int, int]
) -> list[ArchiveFile]:
    """Find each entry's bytes by the header in front of them; these must agree with the directory and not overlap."""
    files = []
    spans = [directory]
    for name, entry in named:
        offset = _content_offset(stream, name, entry)
        spans.append((entry.header_offset, offset + entry.compress_size))
        if not name.endswith("/"):
            files.append(
                ArchiveFile(name, entry.file_size, entry.CRC, entry.compress_type, entry.compress_size, offset)
            )
    spans.sort()
    for (_, end), (start, _) in itertools.pairwise(spans):
        if end > start:
            raise Problem("zip_entries_overlap", "Files of the zip share bytes, as in a zip bomb.")
    return files


def _content_offset(stream: io.FileIO, name: str, entry: zipfile.ZipInfo) -> int:
    if entry.header_offset < 0:
        raise _damaged(f"{shown(name)} is before its beginning")
    stream.seek(entry.header_offset)
    header = stream.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size:
        raise _damaged(f"{shown(name)} is beyond its end")
    magic, _, flags, method, _, _, crc, packed, size, name_size, extra_size = _LOCAL_HEADER.unpack(header)
    content_offset: int = entry.header_offset + _LOCAL_HEADER.size + name_size + extra_size
    if magic != b"PK\3\4" or stream.read(name_size) != _raw_name(entry):
        raise _damaged(f"{shown(name)} is not where the zip says")
    told = (flags & _ENCRYPTED_FLAGS, method)
    if told != (entry.flag_bits & _ENCRYPTED_FLAGS, entry.compress_type):
        raise _damaged(f"{shown(name)} contradicts its header")
    sizes_follow = flags & 0x8 or 0xFFFFFFFF in (packed, size)
    if not sizes_follow and (crc, packed, size) != (entry.CRC, entry.compress_size, entry.file_size):
        raise _damaged(f"{shown(name)} contradicts its header")
    return content_offset


def _check_index(paths: Sequence[str]) -> None:
    if "index.html" in paths:
        return
    tops = {path.partition("/")[0] for path in paths}
    top = next(iter(tops), "")
    if len(tops) == 1 and f"{top}/index.html" in paths:
        advice = f"It is inside the folder {shown(top)}: zip what is in that folder, not the folder."
    else:
        advice = "Zip the content of the folder that your web build makes, with `index.html` at the top."
    raise Problem("zip_no_index_html", f"The zip has no `index.html` at its top. {advice}")


def _copy(stream: BinaryIO, file: ArchiveFile) -> Iterator[bytes]:
    left = file.packed_size
    while left:
        chunk = stream.read(min(left, CHUNK))
        if not chunk:
            raise _damaged(f"{shown(file.path)} is cut off")
        left -= len(chunk)
        yield chunk


def _inflate(stream: BinaryIO, file: ArchiveFile) -> Iterator[bytes]:
    """Unpack at most `CHUNK` bytes at a time, however strongly they are compressed."""
    decoder = zlib.decompressobj(-zlib.MAX_WBITS)
    left = file.packed_size
    packed = b""
    while not decoder.eof:
        if not packed and left:
            packed = stream.read(min(left, CHUNK))
            left -= len(packed)
        try:
            chunk = decoder.decompress(packed, CHUNK)
        except zlib.error as error:
            raise _damaged(f"{shown(file.path)} cannot be unpacked: {error}") from None
        if not chunk and not packed and not decoder.eof:
            raise _damaged(f"{shown(file.path)} is cut off")
        packed = decoder.unconsumed_tail
        if chunk:
            yield chunk
    if left or decoder.unused_data:
        raise _damaged(f"{shown(file.path)} has bytes behind its end")


def _too_many(max_entries: int) -> Problem:
    return Problem(
        "zip_too_many_files", f"A bundle may have at most {max_entries} files.", more={"maxFiles": max_entries}
    )


def _damaged(how: str) -> Problem:
    return Problem("zip_damaged", f"The zip is damaged: {how}.")
