"""Unpacking a bundle's zip as the plugin does: entries that would leave the folder fail the whole bundle."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

from capstan.simulator.failures import StepError
from capstan.simulator.storage import inside

BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What zipfile raises for archives it cannot read: damaged, cut off, of an unknown method, behind a password."""


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into an existing folder. Raises StepError with the action that fits."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for entry in opened.infolist():
                _unpack_entry(opened, entry, folder)
    except BROKEN as fault:
        raise StepError("unzip_fail") from fault


def _unpack_entry(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, folder: Path) -> None:
    if "\\" in entry.filename:
        raise StepError("windows_path_fail")
    target = inside(folder, entry.filename)
    if target is None:
        raise StepError("canonical_path_fail")
    try:
        if entry.is_dir():
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise StepError("directory_path_fail") from fault
    try:
        target.write_bytes(opened.read(entry))
    except OSError as fault:
        raise StepError("unzip_fail") from fault
