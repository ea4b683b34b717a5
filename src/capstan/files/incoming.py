"""Where uploads land before anything is known about them: files that are nobody's yet, and never outlive a sweep.

A body goes to disk as it arrives, at most a few hundred kilobytes of it in memory, and is cut off as soon as it is
larger than allowed, whatever length it announced.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import structlog

from capstan.files.archive import too_large
from capstan.files.objects import StoreUnavailable

_WRITE_BYTES = 1 << 19

log = structlog.get_logger(__name__)


class Incoming:
    """The folder of uploads in progress. `max_bytes` is the size of the largest one."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        folder.mkdir(parents=True, exist_ok=True)

    async def receive(self, upload_id: str, body: AsyncIterator[bytes]) -> Path:
        """Write a body to a file of its own and return it; who receives an upload removes it (`discard`).

        `upload_id` is made by the server and used once. Raises `bundle_too_large` (413), and `StoreUnavailable` if the
        disk does not take it. If the body ends with an exception, or the caller is cancelled, the file is gone.
        """
        path = self._folder / upload_id
        size = 0
        held: list[bytes] = []
        held_bytes = 0
        try:
            with path.open("xb") as file:
                async for chunk in body:
                    size += len(chunk)
                    if size > self._max_bytes:
                        raise too_large(self._max_bytes)
                    held.append(chunk)
                    held_bytes += len(chunk)
                    if held_bytes >= _WRITE_BYTES:
                        # On a thread: a busy disk may make writers wait, and the event loop serves every device.
                        await asyncio.to_thread(file.writelines, held)
                        held, held_bytes = [], 0
                await asyncio.to_thread(file.writelines, held)
        except BaseException as error:
            self.discard(path)
            if isinstance(error, OSError) and not isinstance(error, ConnectionError):
                log.error("an upload cannot be taken in", error=str(error))
                raise StoreUnavailable from error
            raise
        return path

    def discard(self, path: Path) -> None:
        """Remove an upload, and what working on it may have left beside it."""
        path.unlink(missing_ok=True)
        for left in self._folder.glob(f"{path.name}.*"):
            left.unlink(missing_ok=True)

    def sweep(self, before: datetime) -> None:
        """Remove uploads that nobody has written to since `before` (aware), which only a crash leaves behind."""
        for left in self._folder.iterdir():
            if left.is_file() and left.stat().st_mtime < before.timestamp():
                left.unlink(missing_ok=True)
