"""A real web build as a development dependency brings it, and what the next release of the same app looks like.

The build is the web interface that the `dagster-webserver` wheel carries (a Next.js export, Apache-2.0), without its
source maps, which nobody sends to phones (docs/decisions/0008-a-real-build-to-test-with.md).
"""

from __future__ import annotations

import hashlib
import shutil
from importlib.metadata import distribution
from pathlib import Path

_DISTRIBUTION = "dagster-webserver"
_BUILD = "dagster_webserver/webapp/build"
_SOURCE_MAP = ".map"
_NAMES_FILES = (".html", ".js")


def copy_build(target: Path) -> None:
    """Put the build into a new folder."""
    source = Path(str(distribution(_DISTRIBUTION).locate_file(_BUILD)))
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(f"*{_SOURCE_MAP}"))


def copy_next_release(build: Path, target: Path) -> None:
    """The build again after a small change: a line of the main script and a rule of the largest style sheet.

    What a bundler makes of that: both files get new names by their new content, and so do the files that name them.
    """
    shutil.copytree(build, target)
    _change(target, _only(target, "_next/static/chunks/main-*.js"), b'\nconsole.info("second release");\n')
    _change(target, max((target / "_next/static/css").iterdir(), key=_size), b"\n.second-release{color:#0a7}\n")
    _rename(target, _only(target, "_next/static/chunks/webpack-*.js"))


def files_below(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file, by its path with slashes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _change(folder: Path, file: Path, addition: bytes) -> None:
    file.write_bytes(file.read_bytes() + addition)
    _rename(folder, file)


def _rename(folder: Path, file: Path) -> None:
    """Name a file `<name>-<hash>` or `<hash>` after its content, and say so in the files that name it."""
    old = file.stem.rpartition("-")[2]
    new = hashlib.sha256(file.read_bytes()).hexdigest()[: len(old)]
    file.rename(file.with_stem(file.stem.removesuffix(old) + new))
    for one in folder.rglob("*"):
        if one.suffix in _NAMES_FILES:
            text = one.read_bytes()
            if old.encode() in text:
                one.write_bytes(text.replace(old.encode(), new.encode()))


def _only(folder: Path, pattern: str) -> Path:
    (found,) = folder.glob(pattern)
    return found


def _size(path: Path) -> int:
    return path.stat().st_size
