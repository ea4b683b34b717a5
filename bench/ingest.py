"""A large release while devices ask: zips of 50 MB and 3,000 files, sent in one after the other."""

from __future__ import annotations

import http.client
import json
import threading
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from urllib.parse import urlencode

FILES = 3_000
TEXT_BYTES = 14_000
PICTURE_BYTES = 55_000
PICTURE_EVERY = 5
"""Every fifth file is a picture, which does not compress; the others are code, which does."""


@dataclass(frozen=True)
class Ingest:
    """One upload: when it began and ended, in seconds of the monotonic clock, and its HTTP status."""

    began: float
    ended: float
    status: int


def make_zip(path: Path, seed: int) -> int:
    """Write a web build of its own for each seed; gives its size in bytes."""
    random = Random(seed)
    words = [random.randbytes(random.randrange(1, 6)).hex() for _ in range(3_000)]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        archive.writestr("index.html", f"<!doctype html><title>build {seed}</title>")
        for number in range(FILES - 1):
            if number % PICTURE_EVERY:
                code = ";".join(random.choices(words, k=TEXT_BYTES // 7))
                archive.writestr(f"assets/chunk-{number}.js", f"notifyAppReady();{code}")
            else:
                archive.writestr(f"assets/picture-{number}.webp", random.randbytes(PICTURE_BYTES))
    return path.stat().st_size


class Ingesting:
    """While the block runs, zips are uploaded one after the other from a thread; `done` tells of each that ended."""

    def __init__(self, port: int, api_key: str, app_id: str, zips: Sequence[Path]) -> None:
        self.done: list[Ingest] = []
        self._port = port
        self._api_key = api_key
        self._app_id = app_id
        self._zips = zips
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._upload_all)

    def __enter__(self) -> Ingesting:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join()

    def _upload_all(self) -> None:
        for path in self._zips:
            if self._stopping.is_set():
                return
            began = time.monotonic()
            status = self._upload(path)
            self.done.append(Ingest(began, time.monotonic(), status))

    def _upload(self, path: Path) -> int:
        query = urlencode({"app_id": self._app_id, "version": f"2.0.{path.stem}"})
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        try:
            with path.open("rb") as body:
                headers = {"capgkey": self._api_key, "Content-Length": str(path.stat().st_size)}
                connection.request("POST", f"/capstan/bundle/upload?{query}", body, headers)
                answer = connection.getresponse()
                said = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            print(f"the upload was refused: {json.loads(said).get('error')}")
        return answer.status
