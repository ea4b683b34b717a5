"""Which names a zip may give its files: those that stay in the bundle's folder and stay apart from each other.

What is judged is what a device makes of a name, not what this server does: its file system may ignore case, may treat
two spellings of one letter as one, may be Windows. Nothing is repaired. A bundle is published as it was sent or not.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from capstan.errors import Problem

MAX_SEGMENT_BYTES = 255
MAX_PATH_BYTES = 1024

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"[A-Za-z]:")
_SHOWN = 120


def decode_name(raw: bytes, *, marked_utf8: bool) -> str:
    """A name as text. Only ASCII needs no mark: an unmarked name is in whatever code page its maker's machine had."""
    try:
        return raw.decode("utf-8" if marked_utf8 else "ascii")
    except UnicodeDecodeError:
        raise Problem(
            "zip_name_not_utf8",
            f"The name {shown(raw.decode('utf-8', 'replace'))} is not marked as UTF-8, or is not UTF-8. "
            "Make the zip with a tool that writes UTF-8 names.",
        ) from None


def check_name(name: str) -> None:
    """Refuse a name that leaves the folder it is unpacked to, or that no file can have. Folders end with a slash."""
    fault = _fault(name)
    if fault:
        raise Problem("zip_path_unsafe", f"The name {shown(name)} {fault}.", more={"name": name[:MAX_PATH_BYTES]})
    if len(name.encode()) > MAX_PATH_BYTES or any(len(part.encode()) > MAX_SEGMENT_BYTES for part in name.split("/")):
        raise Problem(
            "zip_path_too_long",
            f"The name {shown(name)} is longer than {MAX_PATH_BYTES} bytes, or a part of it than {MAX_SEGMENT_BYTES}.",
            more={"name": name[:MAX_PATH_BYTES]},
        )


def _fault(name: str) -> str | None:
    if _CONTROL.search(name):
        return "holds a NUL or another control character"
    if "\\" in name:
        return "holds a backslash"
    if name.startswith("/"):
        return "is absolute"
    if _DRIVE.match(name):
        return "begins with a drive letter"
    segments = name.removesuffix("/").split("/")
    if "" in segments:
        return "has an empty part"
    if ".." in segments or "." in segments:
        return "holds `.` or `..`"
    return None


def check_apart(names: Iterable[str]) -> None:
    """Refuse names of files that are one file on some device, or of which one is a folder of the other.

    Case and composition are ignored, as the file systems of iOS and Windows do. Folders end with a slash and may
    come again and again. The names passed `check_name`.
    """
    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    for name in names:
        path = fold(name)
        if not path.endswith("/"):
            if path in files:
                raise _collision(files[path], name)
            files[path] = name
        while "/" in path:
            path = path.rpartition("/")[0]
            folders[path] = name
    for path in files.keys() & folders.keys():
        raise _collision(files[path], folders[path])


def fold(name: str) -> str:
    """The same text for names that a file system may take for the same."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def shown(name: str) -> str:
    """A name for a message: quoted, with odd characters escaped, cut to a readable length."""
    text = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
    return ascii(text) if _CONTROL.search(text) else f"'{text}'"


def _collision(one: str, other: str) -> Problem:
    return Problem(
        "zip_name_collision",
        f"The files {shown(one)} and {shown(other)} cannot both be stored on every device. Rename one of them.",
        more={"names": [one, other]},
    )
