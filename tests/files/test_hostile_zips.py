from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from capstan.errors import Problem
from capstan.files.archive import ArchiveLimits, open_archive
from capstan.files.ingest import Ingest
from capstan.files.objects import ObjectStore
from tests.files.zips import (
    LIMITS,
    PAGE,
    end_record,
    flagged,
    noise,
    overlapping,
    patched,
    raw_entry,
    text,
    zip_of,
)

GOOD = zip_of({"index.html": PAGE, "app.js": text(20_000)})
ONE = zip_of({"index.html": PAGE * 40})


def with_entry(name: str) -> bytes:
    return zip_of({"index.html": PAGE, name: b"x"})


def with_mode(mode: int) -> bytes:
    return patched(GOOD, central={38: struct.pack("<I", mode << 16)})


def repacked(packed: bytes) -> bytes:
    """`index.html` with these bytes in place of its deflated content, and every header in accord."""
    header = bytearray(ONE[: ONE.index(b"PK\1\2")][: 30 + len("index.html")])
    central = bytearray(ONE[ONE.index(b"PK\1\2") : ONE.rindex(b"PK\5\6")])
    header[18:22] = central[20:24] = struct.pack("<I", len(packed))
    offset = len(header) + len(packed)
    return bytes(header) + packed + bytes(central) + end_record(1, len(central), offset)


def deflated(content: bytes) -> bytes:
    encoder = zlib.compressobj(9, zlib.DEFLATED, -15)
    return encoder.compress(content) + encoder.flush()


def wrong_size(size: int) -> bytes:
    packed = struct.pack("<I", size)
    return patched(ONE, local={22: packed}, central={24: packed})


def many_empty_entries(count: int) -> bytes:
    return zip_of({"index.html": PAGE} | {f"{number}": b"" for number in range(count)})


def huge_directory() -> bytes:
    """A directory far larger than its count of entries says: nobody should read it into memory."""
    directory = b"PK\1\2" + b"\0" * (3 << 20)
    return directory + end_record(1, len(directory), 0)


def listed_twice() -> bytes:
    offset = ONE.index(b"PK\1\2")
    directory = ONE[offset : ONE.rindex(b"PK\5\6")] * 2
    return ONE[:offset] + directory + end_record(2, len(directory), offset)


HOSTILE: dict[str, tuple[bytes, str]] = {
    "path with ..": (with_entry("../evil.js"), "zip_path_unsafe"),
    "path with .. inside": (with_entry("a/../../evil.js"), "zip_path_unsafe"),
    "absolute path": (with_entry("/etc/cron.d/evil"), "zip_path_unsafe"),
    "drive letter": (with_entry("C:/evil.js"), "zip_path_unsafe"),
    "backslash": (with_entry("a\\..\\evil.js"), "zip_path_unsafe"),
    "NUL": (with_entry("evil.js\0.png"), "zip_path_unsafe"),
    "empty part": (with_entry("a//evil.js"), "zip_path_unsafe"),
    "no name": (with_entry(""), "zip_path_unsafe"),
    "endless name": (with_entry("x" * 3000), "zip_path_too_long"),
    "symbolic link": (with_mode(0o120777), "zip_link"),
    "device": (with_mode(0o020644), "zip_link"),
    "case collision": (zip_of({"index.html": PAGE, "INDEX.html": b"x"}), "zip_name_collision"),
    "two spellings": (zip_of({"index.html": PAGE, "\u00e9": b"x", "e\u0301": b"x"}), "zip_name_collision"),
    "file and folder": (zip_of({"index.html": PAGE, "a": b"x", "a/b": b"x"}), "zip_name_collision"),
    "unmarked name": (flagged(with_entry("ä.js"), 0), "zip_name_not_utf8"),
    "name that is not UTF-8": (with_entry("ä.js").replace("ä".encode(), b"\xff\xfe"), "zip_name_not_utf8"),
    "password": (flagged(GOOD, 0x1), "zip_encrypted"),
    "strong encryption": (flagged(GOOD, 0x41), "zip_encrypted"),
    "bzip2": (zip_of({"index.html": PAGE}, zipfile.ZIP_BZIP2), "zip_compression_unsupported"),
    "LZMA": (zip_of({"index.html": PAGE}, zipfile.ZIP_LZMA), "zip_compression_unsupported"),
    "patch data": (flagged(GOOD, 0x20), "zip_compression_unsupported"),
    "no index.html": (zip_of({"main.html": PAGE}), "zip_no_index_html"),
    "index.html in a folder": (zip_of({"dist/index.html": PAGE, "dist/a.js": b"x"}), "zip_no_index_html"),
    "Index.HTML": (zip_of({"Index.HTML": PAGE}), "zip_no_index_html"),
    "no files": (zip_of({}), "zip_no_index_html"),
    "empty upload": (b"", "zip_damaged"),
    "not a zip": (noise(5000), "zip_damaged"),
    "cut off": (GOOD[: len(GOOD) // 2], "zip_damaged"),
    "cut off at the start": (GOOD[100:], "zip_damaged"),
    "wrong CRC": (patched(ONE, local={14: b"\1\2\3\4"}, central={16: b"\1\2\3\4"}), "zip_damaged"),
    "headers that disagree on the CRC": (patched(ONE, central={16: b"\1\2\3\4"}), "zip_damaged"),
    "headers that disagree on the name": (patched(ONE, local={30: b"lndex"}, central={}), "zip_damaged"),
    "headers that disagree on the method": (patched(ONE, local={8: b"\0\0"}, central={}), "zip_damaged"),
    "headers that disagree on encryption": (patched(ONE, local={6: b"\1\0"}, central={}), "zip_damaged"),
    "entry beyond the end": (patched(ONE, central={42: struct.pack("<I", 1 << 30)}), "zip_damaged"),
    "more content than stated": (wrong_size(len(PAGE)), "zip_damaged"),
    "less content than stated": (wrong_size(len(PAGE) * 41), "zip_damaged"),
    "hidden bytes behind the content": (repacked(deflated(PAGE * 40) + b"hidden"), "zip_damaged"),
    "content that stops short": (repacked(deflated(PAGE * 40)[:-3]), "zip_damaged"),
    "content that is not deflated": (repacked(b"\xff" * 50), "zip_damaged"),
    "overlapping entries": (overlapping(), "zip_entries_overlap"),
    "one entry listed twice": (listed_twice(), "zip_entries_overlap"),
    "too many files": (many_empty_entries(LIMITS.max_entries), "zip_too_many_files"),
    "endless directory": (huge_directory(), "zip_too_many_files"),
    "bomb": (zip_of({"index.html": PAGE, "zeros": bytes(20 << 20)}), "zip_ratio_suspicious"),
    "bomb by what it states": (wrong_size(0xFFFFFFF0), "zip_too_large_unpacked"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_zip_is_refused_by_its_own_code_and_leaves_nothing(
    what: str, local_store: ObjectStore, upload: Callable[[bytes], Path], tmp_path: Path
) -> None:
    content, code = HOSTILE[what]
    path = upload(content)
    with pytest.raises(Problem) as refusal:
        Ingest(local_store, "orgs/o/apps/a.b", "1.0.0", lambda _: None).plain_zip(path, LIMITS)
    assert refusal.value.code == code
    assert refusal.value.message
    assert [left for left in tmp_path.rglob("*") if left.is_file()] == [path]


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (replace(LIMITS, max_zip_bytes=len(GOOD) - 1), "bundle_too_large"),
        (replace(LIMITS, max_entries=1), "zip_too_many_files"),
        (replace(LIMITS, max_unpacked_bytes=20_000), "zip_too_large_unpacked"),
        (replace(LIMITS, max_ratio=1), "zip_ratio_suspicious"),
    ],
)
def test_each_limit_has_its_own_code(limits: ArchiveLimits, code: str, upload: Callable[[bytes], Path]) -> None:
    with pytest.raises(Problem) as refusal:
        open_archive(upload(GOOD), limits)
    assert refusal.value.code == code


def test_a_zip_just_within_the_limits_is_accepted(upload: Callable[[bytes], Path]) -> None:
    limits = ArchiveLimits(len(GOOD), max_entries=2, max_unpacked_bytes=20_000 + len(PAGE), max_ratio=200)
    assert {file.path for file in open_archive(upload(GOOD), limits).files} == {"index.html", "app.js"}


def test_a_zip_of_one_folder_says_what_to_do(upload: Callable[[bytes], Path]) -> None:
    with pytest.raises(Problem, match="inside the folder 'dist': zip what is in that folder"):
        open_archive(upload(HOSTILE["index.html in a folder"][0]), LIMITS)


def test_a_zip_written_as_a_stream_is_accepted(upload: Callable[[bytes], Path], tmp_path: Path) -> None:
    """Its sizes follow the content instead of standing in front of it."""
    path = tmp_path / "stream.zip"
    with path.open("wb") as file:
        unseekable = type("Pipe", (), {"write": file.write, "flush": file.flush})()
        with zipfile.ZipFile(unseekable, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("index.html", PAGE)
            archive.writestr(raw_entry("a.js"), text(9000))
    archive_read = open_archive(path, LIMITS)
    contents = [b"".join(archive_read.chunks(file)) for file in archive_read.files]
    assert contents == [PAGE, text(9000)]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_zip_with_broken_bytes_is_read_rightly_or_refused(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    content = bytearray(GOOD)
    for offset, value in changes:
        content[offset] = value
    path = tmp_path / "broken.zip"
    path.write_bytes(content)
    try:
        archive = open_archive(path, LIMITS)
        unpacked = {b"".join(archive.chunks(file)) for file in archive.files}
    except Problem:
        return
    assert unpacked <= {PAGE, text(20_000)}
