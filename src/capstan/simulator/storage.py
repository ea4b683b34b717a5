"""What a device has on disk: its native bundle, installed bundles, cached delta files, unfinished downloads, and state.

Everything lies below one folder, so a device opened again on the same folder goes on where it was.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from capstan.simulator.identity import BUILTIN
from capstan.simulator.outbox import Event


class BundleState(StrEnum):
    PENDING = "pending"
    """Downloaded, not yet confirmed by the app."""
    OK = "ok"
    ERROR = "error"


class DeviceState(msgspec.Struct):
    """What outlives a restart. Bundles are named by version; `builtin` is the native one."""

    running: str = BUILTIN
    scheduled: str = ""
    """The version that the next start applies; "" for none."""
    channel: str | None = None
    """The channel the device chose for itself."""
    bundles: dict[str, BundleState] = msgspec.field(default_factory=dict)
    events: list[Event] = msgspec.field(default_factory=list)


class Storage:
    """The folder of one device. `builtin` are the files of its native bundle, by path."""

    def __init__(self, folder: Path, builtin: Mapping[str, bytes]) -> None:
        self._folder = folder
        self._state_file = folder / "state.json"
        self._by_hash: dict[str, Path] | None = None
        for name in ("builtin", "bundles", "cache", "downloads", "staging"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        for name, content in builtin.items():
            target = inside(folder / "builtin", name)
            if target is None:
                raise ValueError(f"native file {name!r} leaves the bundle")
            write(target, content)
        self.state = self._load()

    def save(self) -> None:
        fresh = self._state_file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.state))
        fresh.replace(self._state_file)

    def bundle_folder(self, version: str) -> Path:
        """Where the files of a version are, installed or native."""
        return self._folder / "builtin" if version == BUILTIN else self._folder / "bundles" / _safe(version)

    def usable(self) -> dict[str, bool]:
        """Every installed version, and whether it may run."""
        return {
            version: state is not BundleState.ERROR and self.bundle_folder(version).is_dir()
            for version, state in self.state.bundles.items()
        }

    def stage(self, version: str) -> Path:
        """An empty folder in which a bundle is put together."""
        staging = self._folder / "staging" / _safe(version)
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
        return staging

    def install(self, version: str) -> None:
        """Make the staged bundle one of the installed ones, not yet confirmed."""
        self.discard(version)
        (self._folder / "staging" / _safe(version)).rename(self.bundle_folder(version))
        self.state.bundles[version] = BundleState.PENDING
        self._by_hash = None

    def discard(self, version: str) -> None:
        """Remove an installed bundle and what is known of it."""
        shutil.rmtree(self.bundle_folder(version), ignore_errors=True)
        self.state.bundles.pop(version, None)
        self._by_hash = None

    def drop_staging(self, version: str) -> None:
        shutil.rmtree(self._folder / "staging" / _safe(version), ignore_errors=True)

    def part(self, url: str) -> Path:
        """Where the unfinished download of a URL is kept."""
        return self._folder / "downloads" / _safe(url)

    def find(self, sha256: str) -> Path | None:
        """A local file with this content, native and cached ones included."""
        if self._by_hash is None:
            self._by_hash = {_sha256(path): path for path in self._local_files()}
        return self._by_hash.get(sha256)

    def cache(self, sha256: str, content: bytes) -> None:
        """Keep a delta file for later bundles."""
        kept = self._folder / "cache" / sha256
        kept.write_bytes(content)
        if self._by_hash is not None:
            self._by_hash[sha256] = kept

    def _local_files(self) -> Iterable[Path]:
        for name in ("builtin", "bundles", "cache"):
            yield from (path for path in (self._folder / name).rglob("*") if path.is_file())

    def _load(self) -> DeviceState:
        if not self._state_file.exists():
            return DeviceState()
        return msgspec.json.decode(self._state_file.read_bytes(), type=DeviceState)


def inside(folder: Path, name: str) -> Path | None:
    """The path of `name` below `folder`, or None when it is empty, absolute or leaves the folder."""
    if "\0" in name:
        return None
    root = os.path.abspath(folder)
    path = os.path.normpath(os.path.join(root, name))
    return Path(path) if path.startswith(f"{root}{os.sep}") else None


def write(target: Path, content: bytes) -> None:
    """Write a file and the folders above it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content)


def _safe(text: str) -> str:
    # Versions and URLs may hold any character and any length; a file name may not.
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
