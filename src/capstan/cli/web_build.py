"""A web build as a zip: read from a folder or given as a zip already, looked at before it is sent.

A folder gives the same zip whenever its files are the same: sorted names, no dates, no owners. What is wrong with a zip
the server tells (`files.archive`); here only what is wrong with most first attempts.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO

from capstan.cli.failures import WRONG_USAGE, Failure

READY_CALL = b"notifyAppReady"

_LEFT_OUT = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_SCRIPTS = (".js", ".mjs", ".cjs", ".html")
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_COPY_BYTES = 1 << 20
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError)


@dataclass(frozen=True, slots=True)
class WebBuild:
    """The folder that holds `index.html`, or a zip of it."""

    path: Path

    @property
    def is_zip(self) -> bool:
        return self.path.is_file()

    def calls_app_ready(self) -> bool:
        """Whether any script names `notifyAppReady`, without which devices take every bundle back after ten seconds.

        True for a zip that cannot be read here: it may be encrypted, and the server judges what is damaged.
        """
        if not self.is_zip:
            return any(_names_call(file) for name, file in _files(self.path) if name.endswith(_SCRIPTS))
        try:
            with zipfile.ZipFile(self.path) as archive:
                return any(READY_CALL in archive.read(name) for name in archive.namelist() if name.endswith(_SCRIPTS))
        except _DAMAGED:
            return True

    def write_zip(self, target: BinaryIO) -> None:
        """Put the build as a zip into a file. Raises OSError for a file that cannot be read."""
        if self.is_zip:
            with self.path.open("rb") as stream:
                _copy(stream, target)
            return
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, file in _files(self.path):
                entry = zipfile.ZipInfo(name, _FIRST_DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o100644 << 16
                with file.open("rb") as stream, archive.open(entry, "w") as packed:
                    _copy(stream, packed)


def open_build(path: Path) -> WebBuild:
    """The build at a path. Ends the command when it is none."""
    if not path.exists():
        raise Failure(f"There is no folder or zip {path}.", WRONG_USAGE)
    if path.is_dir() and not (path / "index.html").is_file():
        raise Failure(
            f"{path} has no index.html; give the folder that your web build makes, such as dist or www.", WRONG_USAGE
        )
    return WebBuild(path)


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files below a folder by their names in the zip, sorted; links are followed, but never in a circle."""
    found: list[Path] = []
    seen: set[str] = set()
    for parent, folders, names in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in seen:
            folders.clear()
            continue
        seen.add(real)
        found.extend(Path(parent, name) for name in names if name not in _LEFT_OUT)
    named = ((file.relative_to(folder).as_posix(), file) for file in found)
    return iter(sorted(named))


def _names_call(file: Path) -> bool:
    return READY_CALL in file.read_bytes()


def _copy(source: BinaryIO, target: IO[bytes]) -> None:
    while content := source.read(_COPY_BYTES):
        target.write(content)
