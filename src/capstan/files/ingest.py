"""A zip becomes a bundle: its checksum, its stored zip, and its files as content-addressed objects for delta updates.

Runs in a child process, for it hashes and compresses (see `ingest_child`). Files are stored once for each content and
app, so only what no earlier bundle had costs time and space. A failed ingest leaves nothing that anybody refers to:
the zip is stored last, and on a folder delta objects appear only after all are written. What a failure between the
two leaves, or any failure in a bucket, are delta objects that the next upload of the same files uses.

Rules of delta files are those of the contract (device 4.6, 7.6): the hash is that of the original content; a file of
at least 8192 bytes is sent brotli-compressed if that saves more than 10 bytes, and then its name gets `.br`, by which
devices know. Hence a file that is called `.br` by its maker is always compressed once more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile, _TemporaryFileWrapper
from typing import IO, Literal

import brotli  # type: ignore[import-untyped]  # it ships no types
import msgspec

from capstan.files.archive import Archive, ArchiveFile, ArchiveLimits, open_archive
from capstan.files.keys import delta_key, zip_key
from capstan.files.objects import ObjectStore, Writes
from capstan.jobs.progress import Progress, Report
from capstan.updates.snapshot import ManifestFile

MIN_COMPRESSED_BYTES = 8192
MIN_SAVED_BYTES = 10
DEFAULT_QUALITY = 7

_IN_MEMORY_BYTES = 2 << 20
_COMPRESSIONS_AT_ONCE = 2
_WRITES_AT_ONCE = 16

Form = Literal["plain", "compressed", "smaller"]
"""How a content is stored: as it is, compressed, or compressed if that makes it smaller."""


class Ingested(msgspec.Struct, frozen=True):
    """What was stored. `zip_sha256` in lower-case hex, sizes in bytes.

    Of the objects of `files` so many were stored now; the keys in `reused` were there already.
    """

    zip_key: str
    zip_size: int
    zip_sha256: str
    files: tuple[ManifestFile, ...] = ()
    objects_stored: int = 0
    reused: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Content:
    """What delta objects are made from: the same content in the same form is one object."""

    sha256: str
    form: Form


@dataclass(frozen=True, slots=True)
class Stored:
    key: str
    size: int
    compressed: bool


@dataclass(frozen=True, slots=True)
class Ingest:
    """Where an upload goes: the store, `orgs/<org>/apps/<app>`, the bundle's name, brotli's effort from 0 to 11."""

    store: ObjectStore
    app_prefix: str
    version: str
    report: Report
    quality: int = DEFAULT_QUALITY

    def plain_zip(self, zip_path: Path, limits: ArchiveLimits) -> Ingested:
        """Check a zip, store its files that are new to the app, then the zip. Raises `Problem` for a bad zip."""
        archive = open_archive(zip_path, limits)
        contents = self._examine(archive)
        sources = {content: file for file, content in contents.items()}
        reused = _find_stored(self.store, self.app_prefix, sources)
        fresh = self._store_files(archive, {content: sources[content] for content in sources.keys() - reused.keys()})
        stored = reused | fresh
        return msgspec.structs.replace(
            self._store_zip(zip_path),
            files=tuple(_manifest_file(file, content, stored[content]) for file, content in contents.items()),
            objects_stored=len(fresh),
            reused=tuple(one.key for one in reused.values()),
        )

    def encrypted_zip(self, zip_path: Path) -> Ingested:
        """Store a zip as it came. What is in it only devices can tell, so it has no manifest."""
        return self._store_zip(zip_path)

    def _store_zip(self, zip_path: Path) -> Ingested:
        size = zip_path.stat().st_size
        self.report(Progress("storing zip", 0, size))
        sha256 = _hash_of_file(zip_path)
        key = zip_key(self.app_prefix, self.version, sha256)
        self.store.put_file(key, zip_path)
        self.report(Progress("storing zip", size, size))
        return Ingested(key, size, sha256)

    def _examine(self, archive: Archive) -> dict[ArchiveFile, Content]:
        """Unpack every file once, to nowhere: after this the zip is known to be sound."""
        contents = {}
        done, total = 0, archive.unpacked_size
        for file in archive.files:
            self.report(Progress("checking files", done, total))
            digest = hashlib.sha256()
            for chunk in archive.chunks(file):
                digest.update(chunk)
            contents[file] = Content(digest.hexdigest(), _form(file))
            done += file.size
        self.report(Progress("checking files", total, total))
        return contents

    def _store_files(self, archive: Archive, sources: dict[Content, ArchiveFile]) -> dict[Content, Stored]:
        stored = {}
        done, total = 0, sum(file.size for file in sources.values())
        self.report(Progress("storing files", done, total))
        with (
            self.store.writes() as writes,
            ThreadPoolExecutor(_COMPRESSIONS_AT_ONCE) as compressors,
            ThreadPoolExecutor(_WRITES_AT_ONCE) as pool,
        ):
            packer = _Packer(archive, writes, self.app_prefix, self.quality, compressors)
            waiting = {pool.submit(packer.store, content, file): content for content, file in sources.items()}
            try:
                for future in as_completed(waiting):
                    content = waiting[future]
                    stored[content] = future.result()
                    done += sources[content].size
                    self.report(Progress("storing files", done, total))
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return stored


class _Packer:
    """Takes contents from the zip to the store, in the form that the rules ask for. Used by several threads.

    Many writes may wait for a bucket at the same time, but only so many compressions make sense. These have threads
    of their own, not a lock: what the compressor allocates stays with the thread, tens of megabytes each.
    """

    def __init__(
        self, archive: Archive, writes: Writes, app_prefix: str, quality: int, compressors: ThreadPoolExecutor
    ) -> None:
        self._archive = archive
        self._writes = writes
        self._app_prefix = app_prefix
        self._quality = quality
        self._compressors = compressors

    def store(self, content: Content, file: ArchiveFile) -> Stored:
        if file.size > _IN_MEMORY_BYTES:
            return self._store_large(content, file)
        data = b"".join(self._archive.chunks(file))
        if content.form != "plain":
            packed = self._compressors.submit(brotli.compress, data, quality=self._quality).result()
            if _worth_it(content, file, len(packed)):
                return self._put(content, packed, len(packed), compressed=True)
        return self._put(content, data, len(data), compressed=False)

    def _store_large(self, content: Content, file: ArchiveFile) -> Stored:
        if content.form != "plain":
            with self._file_beside_zip() as packed:
                self._compressors.submit(self._compress_large, file, packed).result()
                if _worth_it(content, file, packed.tell()):
                    return self._put(content, Path(packed.name), packed.tell(), compressed=True)
        with self._file_beside_zip() as plain:
            for chunk in self._archive.chunks(file):
                plain.write(chunk)
            plain.flush()
            return self._put(content, Path(plain.name), file.size, compressed=False)

    def _compress_large(self, file: ArchiveFile, target: IO[bytes]) -> None:
        encoder = brotli.Compressor(quality=self._quality)
        for chunk in self._archive.chunks(file):
            target.write(encoder.process(chunk))
        target.write(encoder.finish())
        target.flush()

    def _file_beside_zip(self) -> _TemporaryFileWrapper[bytes]:
        """Named after the zip, so that whoever removes the zip after a crash finds this too."""
        zip_path = self._archive.zip_path
        return NamedTemporaryFile(dir=zip_path.parent, prefix=f"{zip_path.name}.")

    def _put(self, content: Content, body: bytes | Path, size: int, *, compressed: bool) -> Stored:
        key = delta_key(self._app_prefix, content.sha256, compressed=compressed)
        if isinstance(body, Path):
            self._writes.put_file(key, body)
        else:
            self._writes.put_bytes(key, body)
        return Stored(key, size, compressed)


def _form(file: ArchiveFile) -> Form:
    if file.path.endswith(".br"):
        return "compressed"
    return "smaller" if file.size >= MIN_COMPRESSED_BYTES else "plain"


def _worth_it(content: Content, file: ArchiveFile, packed_size: int) -> bool:
    return content.form == "compressed" or file.size - packed_size > MIN_SAVED_BYTES


def _find_stored(store: ObjectStore, app_prefix: str, contents: Iterable[Content]) -> dict[Content, Stored]:
    """The contents that an earlier bundle of the app has stored already, in a form that fits."""
    contents = list(contents)
    found = _stored_as(store, app_prefix, [one for one in contents if one.form != "plain"], compressed=True)
    rest = [one for one in contents if one.form != "compressed" and one not in found]
    return found | _stored_as(store, app_prefix, rest, compressed=False)


def _stored_as(
    store: ObjectStore, app_prefix: str, contents: Sequence[Content], *, compressed: bool
) -> dict[Content, Stored]:
    keys = {content: delta_key(app_prefix, content.sha256, compressed=compressed) for content in contents}
    heads = store.heads(set(keys.values()))
    return {content: Stored(key, heads[key].size, compressed) for content, key in keys.items() if key in heads}


def _manifest_file(file: ArchiveFile, content: Content, stored: Stored) -> ManifestFile:
    name = f"{file.path}.br" if stored.compressed else file.path
    return ManifestFile(name, content.sha256, stored.key, stored.size)


def _hash_of_file(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
