"""How writes reach a store so that an object is whole and safe from the moment it can be seen.

A cloud store promises that by itself. On a local folder a power cut could leave a name whose content was never
written, and because delta files are stored once by their hash, such a husk would be taken for the real file by every
later upload. So locally all content is written under a staging name and synced, then renamed, then the folders are
synced. Many objects share these steps, which is what makes thousands of small files bearable.
"""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Protocol, TypeAlias

import obstore
from obstore.store import LocalStore

STAGING = "staging"
"""Folder of half-written objects in a local store; no object name can collide with it."""

Content: TypeAlias = bytes | Path | Iterator[bytes]

_SYNCS_AT_ONCE = 8
# Together these must pass within the client's limit of 30 seconds for one request, also from a modest line.
_UPLOAD_PART_BYTES = 5 << 20
_UPLOAD_PARTS_AT_ONCE = 2


class Landing(Protocol):
    """Some writes that become visible and durable at `finish`. `write` may be called from several threads."""

    def write(self, name: str, content: Content) -> None:
        """Write an object; `content` is its bytes, a file that holds them, or its bytes chunk by chunk.

        An exception of the chunks comes out, and then there is no such object.
        """

    def finish(self) -> None:
        """Make all writes visible, one object after another, each whole, and return when they are durable."""

    def discard(self) -> None:
        """Clean up, after `finish` or instead of it."""


class CloudLanding:
    """Each object is visible and durable as soon as `write` returns, and stays even if `finish` is never called."""

    def __init__(self, backend: obstore.store.ObjectStore) -> None:
        self._backend = backend

    def write(self, name: str, content: Content) -> None:
        put(self._backend, name, content)

    def finish(self) -> None:
        """Nothing is left to do."""

    def discard(self) -> None:
        """Nothing can be taken back: another upload may rely on the objects already."""


class LocalLanding:
    """Nothing is visible before `finish`, and nothing is left without it."""

    def __init__(self, backend: LocalStore, folder: Path, landing_id: str) -> None:
        self._backend = backend
        self._folder = folder
        self._staging = f"{STAGING}/{landing_id}"
        self._numbers = itertools.count()
        self._written: list[tuple[str, str]] = []
        self._discarded = False

    def write(self, name: str, content: Content) -> None:
        staged = f"{self._staging}/{next(self._numbers)}"
        put(self._backend, staged, content)
        if self._discarded:
            # A process that is told to stop may not get to wait for all of its threads.
            self.discard()
        self._written.append((staged, name))

    def finish(self) -> None:
        sync_all(self._folder / staged for staged, _ in self._written)
        for staged, name in self._written:
            obstore.rename(self._backend, staged, name)
        # From the leaves up: a folder's own name is safe only once its parent is synced.
        folders = {(self._folder / name).parent for _, name in self._written}
        while folders:
            sync_all(folders)
            folders = {folder.parent for folder in folders if folder != self._folder}

    def discard(self) -> None:
        self._discarded = True
        shutil.rmtree(self._folder / self._staging, ignore_errors=True)


def sweep_staging(folder: Path, before: datetime) -> None:
    """Remove what crashed processes left in staging; only what nobody has written to since `before` (aware)."""
    for left in (folder / STAGING).glob("*"):
        if left.stat().st_mtime < before.timestamp():
            shutil.rmtree(left, ignore_errors=True)


def put(backend: obstore.store.ObjectStore, name: str, content: Content) -> None:
    """Write one object, in parts if it is a large file or comes in chunks, so that memory stays within a few parts."""
    if isinstance(content, bytes | Path):
        obstore.put(backend, name, content, chunk_size=_UPLOAD_PART_BYTES, max_concurrency=_UPLOAD_PARTS_AT_ONCE)
        return
    # Not `put`, which would ask for chunks from within the store's own machinery, where no other object can be read.
    # A writer that is never closed leaves no object.
    writer = obstore.open_writer(backend, name, buffer_size=_UPLOAD_PART_BYTES, max_concurrency=_UPLOAD_PARTS_AT_ONCE)
    for chunk in content:
        writer.write(chunk)
    writer.close()


def sync_all(paths: Iterable[Path]) -> None:
    """Wait until the disk has these files or folders."""
    with ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
        for _ in pool.map(_sync, paths):
            pass


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
