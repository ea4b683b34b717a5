"""The object store: wire keys in, bytes out, the same on a folder, S3, Google Cloud and Azure.

What it promises: an object is whole or absent, never half; when a write returns, the object survives a power cut; a
missing object is `ObjectMissing`, a store that does not answer is `StoreUnavailable`, and no other error of a backend
gets out of reads and writes. Objects are meant to be written once; a reader that meets a replaced object fails
instead of mixing two.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import obstore
import structlog
from obstore.exceptions import BaseError
from obstore.store import AzureStore, LocalStore, S3Store, from_url

from capstan.errors import Problem
from capstan.files.keys import object_name
from capstan.files.landing import STAGING, CloudLanding, Landing, LocalLanding, sweep_staging
from capstan.outages import Outage

log = structlog.get_logger(__name__)

WINDOW = 1 << 20
"""Bytes fetched at once by readers: what one download costs in memory, however slow its client."""

PATIENCE_SECONDS = 8.0
"""How long the first bytes of an object may take: a device waits ten seconds for an answer (contract: device 7.1), and
a 503 in time is better than a success too late."""

_LOOKS_AT_ONCE = 16
_RETRIES: Any = {
    "max_retries": 3,
    "retry_timeout": timedelta(seconds=20),
    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
}


class ObjectMissing(Problem):
    """There is no object under this key: 404 `not_found`."""

    def __init__(self, key: str) -> None:
        super().__init__("not_found", "Not found", status=404)
        self.key = key


class StoreUnavailable(Problem):
    """The store does not answer, or answers with an error of its own: 503 `upstream_unavailable`."""

    def __init__(self) -> None:
        super().__init__("upstream_unavailable", "File storage temporarily unavailable", status=503)


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """Size in bytes, the store's entity tag as it gives it (usually in double quotes), time of the last write (UTC)."""

    size: int
    etag: str | None
    modified: datetime


@dataclass(frozen=True, slots=True)
class NamedObject:
    """An object as a listing shows it: by its stored name, for wire keys cannot be told from names."""

    name: str
    info: ObjectInfo


class S3Options(msgspec.Struct, frozen=True, omit_defaults=True):
    """What an S3 store needs beside its URL. Absent ones are found as AWS clients do, in `AWS_…` variables."""

    endpoint: str | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    allow_http: bool = False

    def __repr__(self) -> str:
        return f"S3Options(endpoint={self.endpoint!r}, region={self.region!r})"


class LocalFolder:
    """How objects land in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self.backend = LocalStore(self.folder, mkdir=True)

    def landing(self) -> Landing:
        return LocalLanding(self.backend, self.folder, uuid.uuid4().hex)

    def sweep(self, before: datetime) -> None:
        sweep_staging(self.folder, before)

    def upload_url(self, name: str, seconds: int) -> str | None:  # noqa: ARG002 - as `Cloud.upload_url`
        return None


class Cloud:
    """How objects land in a bucket, which needs neither staging nor sweeping."""

    def __init__(self, backend: obstore.store.ObjectStore) -> None:
        self.backend = backend

    def landing(self) -> Landing:
        return CloudLanding(self.backend)

    def sweep(self, before: datetime) -> None:
        """Nothing: a bucket's life cycle rule ends unfinished uploads (contract: device 4.8)."""

    def upload_url(self, name: str, seconds: int) -> str | None:
        # Azure wants a header of its own with the PUT and Google a key to sign with, which not every host has.
        if not isinstance(self.backend, S3Store):
            return None
        return obstore.sign(self.backend, "PUT", name, timedelta(seconds=seconds))


class Faults:
    """Speaks of a backend's errors in our own words, and tells the log when they begin and end."""

    def __init__(self, what: str) -> None:
        self._outage = Outage(log, f"objects cannot be {what}", f"objects are {what} again")

    @contextmanager
    def caught(self, key: str | None = None) -> Iterator[None]:
        """Raise `StoreUnavailable` for what the backend raises, `ObjectMissing` if `key` may be absent and is."""
        try:
            yield
        except (BaseError, OSError) as error:
            if key is not None and isinstance(error, FileNotFoundError):
                self._outage.over()
                raise ObjectMissing(key) from error
            self._outage.met(error, key=key)
            raise StoreUnavailable from error
        self._outage.over()


class Writes:
    """Writes by wire key that become visible together, see `ObjectStore.writes`."""

    def __init__(self, landing: Landing, faults: Faults) -> None:
        self._landing = landing
        self._faults = faults

    def put_bytes(self, key: str, content: bytes) -> None:
        with self._faults.caught():
            self._landing.write(object_name(key), content)

    def put_file(self, key: str, path: Path) -> None:
        """Store a file's content, streamed. The file stays where it is."""
        with self._faults.caught():
            self._landing.write(object_name(key), path)

    def put_stream(self, key: str, chunks: Iterator[bytes]) -> None:
        """Store what comes chunk by chunk. An exception of the chunks comes out, and then nothing is stored."""
        with self._faults.caught():
            self._landing.write(object_name(key), chunks)


class OpenObject:
    """An object found, ready to be read by parts, perhaps with its first bytes at hand already."""

    def __init__(
        self, backend: obstore.store.ObjectStore, faults: Faults, key: str, info: ObjectInfo, start: bytes = b""
    ) -> None:
        self._backend = backend
        self._faults = faults
        self._start = start
        self.key = key
        self.info = info

    async def chunks(self, start: int, stop: int) -> AsyncGenerator[bytes, None]:
        """The bytes from `start` up to but not including `stop` (0 ≤ start ≤ stop ≤ size), in chunks up to `WINDOW`.

        Each chunk is a request of its own: one request for all would have to finish within one time limit, which a
        phone on a slow network exceeds, and the local backend reads ranges ten times faster than its stream.
        """
        if start < len(self._start):
            chunk = self._start[start:stop]
            start += len(chunk)
            yield chunk
        while start < stop:
            options: Any = {"range": (start, min(start + WINDOW, stop))}
            if self.info.etag is not None:
                options["if_match"] = self.info.etag
            with self._faults.caught(self.key):
                result = await obstore.get_async(self._backend, object_name(self.key), options=options)
                chunk = bytes(await result.bytes_async())
            start += len(chunk)
            yield chunk


class ObjectStore:
    """Objects by wire key. Plain methods block and belong on threads or in child processes; `async` ones do not."""

    def __init__(self, place: LocalFolder | Cloud) -> None:
        self._place = place
        self._backend = place.backend
        # Apart, for a full store can still be read.
        self._reading, self._writing = Faults("read"), Faults("written")

    @contextmanager
    def writes(self) -> Iterator[Writes]:
        """Several writes, from any threads, durable when the block ends.

        On a folder nothing is visible if the block fails; in a bucket the objects already written stay.
        """
        landing = self._place.landing()
        try:
            yield Writes(landing, self._writing)
            with self._writing.caught():
                landing.finish()
        finally:
            landing.discard()

    def put_bytes(self, key: str, content: bytes) -> None:
        with self.writes() as writes:
            writes.put_bytes(key, content)

    def put_file(self, key: str, path: Path) -> None:
        """Store a file's content under a key, streamed, replacing what was there."""
        with self.writes() as writes:
            writes.put_file(key, path)

    def put_stream(self, key: str, chunks: Iterator[bytes]) -> None:
        """As `Writes.put_stream`, replacing what was there."""
        with self.writes() as writes:
            writes.put_stream(key, chunks)

    def upload_url(self, key: str, seconds: int) -> str | None:
        """A URL to which anybody may PUT this object for so many seconds; None where the store has no such thing."""
        with self._reading.caught():
            return self._place.upload_url(object_name(key), seconds)

    def head(self, key: str) -> ObjectInfo | None:
        """What is known about an object without reading it; None if there is none."""
        try:
            with self._reading.caught(key):
                return _info(obstore.head(self._backend, object_name(key)))
        except ObjectMissing:
            return None

    def heads(self, keys: Collection[str]) -> dict[str, ObjectInfo]:
        """Those of the keys that exist, with what is known about them, asked for up to 16 at a time."""
        with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
            found = pool.map(self.head, keys)
            return {key: info for key, info in zip(keys, found, strict=True) if info is not None}

    def exists(self, key: str) -> bool:
        return self.head(key) is not None

    def read(self, key: str) -> bytes:
        """A whole object, for small ones."""
        with self._reading.caught(key):
            return bytes(obstore.get(self._backend, object_name(key)).bytes())

    def delete(self, key: str) -> None:
        """Remove an object; fine if it is gone already."""
        self.delete_named(object_name(key))

    def delete_named(self, name: str) -> None:
        """As `delete`, by stored name, for objects that nothing refers to any more."""
        try:
            with self._writing.caught(name):
                obstore.delete(self._backend, name)
        except ObjectMissing:
            return

    def list_names(self) -> Iterator[NamedObject]:
        """All objects, in no order, as far as they are whole."""
        with self._reading.caught():
            for page in obstore.list(self._backend, chunk_size=1000):
                for meta in page:
                    if not meta["path"].startswith(f"{STAGING}/"):
                        yield NamedObject(meta["path"], _info(meta))

    def sweep(self, before: datetime) -> None:
        """Remove half-written leftovers of crashed processes that nobody has touched since `before` (aware)."""
        self._place.sweep(before)

    async def look(self, key: str) -> OpenObject:
        """Find an object without reading it. Gives up after `PATIENCE_SECONDS`, as `open`."""
        with self._reading.caught(key):
            async with asyncio.timeout(PATIENCE_SECONDS):
                meta = await obstore.head_async(self._backend, object_name(key))
        return OpenObject(self._backend, self._reading, key, _info(meta))

    async def open(self, key: str) -> OpenObject:
        """Find an object and read its first bytes, in one request where `look` and reading would take two."""
        with self._reading.caught(key):
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._open(key)

    async def _open(self, key: str) -> OpenObject:
        name = object_name(key)
        try:
            result = await obstore.get_async(self._backend, name, options={"range": (0, WINDOW)})
            start = bytes(await result.bytes_async())
            return OpenObject(self._backend, self._reading, key, _info(result.meta), start)
        except BaseError:
            # An empty object has no range, and each backend says so in another way: ask what there is.
            info = _info(await obstore.head_async(self._backend, name))
            if info.size:
                raise
            return OpenObject(self._backend, self._reading, key, info)


def open_objects(place: str | Path, s3: S3Options | None = None) -> ObjectStore:
    """Open a store: a folder (path or `file://` URL, made if absent), or a bucket with an optional prefix.

    Buckets are `s3://bucket/prefix`, `gs://bucket/prefix` and `az://account/container/prefix`. Nothing is asked of a
    bucket yet, so an unreachable one shows at first use. Raises ValueError for any other URL.
    """
    if isinstance(place, Path) or "://" not in place:
        return ObjectStore(LocalFolder(Path(place)))
    url = urlsplit(place)
    if url.scheme == "file":
        return ObjectStore(LocalFolder(Path(unquote(url.path))))
    backend: obstore.store.ObjectStore
    if url.scheme == "az":
        container, _, prefix = url.path.strip("/").partition("/")
        backend = AzureStore(container, prefix=prefix or None, account_name=url.netloc, retry_config=_RETRIES)
    elif url.scheme == "gs":
        backend = from_url(place, retry_config=_RETRIES)
    elif url.scheme == "s3":
        backend = _s3(place, s3 or S3Options())
    else:
        raise ValueError(f"objects cannot be kept at {url.scheme}://")
    return ObjectStore(Cloud(backend))


def _s3(place: str, options: S3Options) -> obstore.store.ObjectStore:
    config: Any = msgspec.to_builtins(options)
    # Left out unless asked for, so that what the environment says stays in force.
    client: Any = {"allow_http": True} if config.pop("allow_http", False) else {}
    return from_url(place, config=config, client_options=client, retry_config=_RETRIES)


def _info(meta: Any) -> ObjectInfo:
    return ObjectInfo(meta["size"], meta["e_tag"], meta["last_modified"])
