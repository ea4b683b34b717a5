"""Bringing an offered bundle onto the device: as a delta, file by file, or as a zip (contract: device 7.6, 7.7).

A download never raises: what went wrong is in its result and was reported as events. Whole delta files that arrived
stay in the cache and a cut-off zip stays as it is, so trying again costs only what is missing.
"""

from __future__ import annotations

import asyncio
import hashlib
import zlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import brotli  # type: ignore[import-untyped]  # ships no types

from capstan.simulator.answers import ManifestEntry, Offer
from capstan.simulator.archive import unpack
from capstan.simulator.decryption import DecryptionError, PublicKey
from capstan.simulator.failures import StepError
from capstan.simulator.identity import Identity
from capstan.simulator.storage import Storage, inside, write
from capstan.simulator.wire import FetchError, FetchTerms, Wire

EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
SHORT_CHECKSUM = 8
"""Characters of a checksum that is CRC-32 instead of SHA-256."""

Report = Callable[[str, str], None]
"""Takes an action and the event's `version_name`."""


@dataclass(frozen=True, slots=True)
class Download:
    """What a download came to. Without failures the bundle is installed. Bytes and requests are those on the wire."""

    version: str
    way: str
    """`delta` or `zip`."""
    failures: tuple[tuple[str, str], ...] = ()
    """Action and `version_name` of each event that told of a failure, the closing download_fail not counted."""
    requests: int = 0
    bytes: int = 0
    reused: int = 0
    """Delta files that were on the device already."""

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(frozen=True, slots=True)
class Downloader:
    """Downloads for one device, one at a time; `parallel` delta files are fetched at once."""

    identity: Identity
    wire: Wire
    storage: Storage
    report: Report
    public_key: PublicKey | None
    parallel: int

    async def download(self, offer: Offer, *, corrupt: bool = False) -> Download:
        """Download and install; `corrupt` damages what arrives, before it is looked at."""
        delta = bool(offer.manifest) and self.identity.release.reads_manifests
        attempt: _Attempt = _Delta(self, offer, corrupt) if delta else _Zip(self, offer, corrupt)
        before = replace(self.wire.traffic)
        failures = tuple((failure.action, failure.subject(offer.version)) for failure in await attempt.run())
        self._close(offer.version, failures)
        return Download(
            offer.version,
            "delta" if delta else "zip",
            failures,
            requests=self.wire.traffic.downloads - before.downloads,
            bytes=self.wire.traffic.downloaded_bytes - before.downloaded_bytes,
            reused=attempt.reused,
        )

    def _close(self, version: str, failures: tuple[tuple[str, str], ...]) -> None:
        if not failures:
            self.storage.install(version)
            self.report("download_complete", version)
            return
        self.storage.drop_staging(version)
        for action, subject in failures:
            if action != "download_fail":
                self.report(action, subject)
        self.report("download_fail", version)


class _Attempt(ABC):
    """What both ways share: one offer being brought into its staging folder."""

    def __init__(self, device: Downloader, offer: Offer, corrupt: bool) -> None:
        self.device = device
        self.offer = offer
        self.corrupt = corrupt
        self.reused = 0
        self.staging = device.storage.stage(offer.version)
        self.key = device.public_key if offer.session_key else None

    @abstractmethod
    async def run(self) -> list[StepError]:
        """Fill the staging folder; the failures, of which none means success."""

    def plain(self, data: bytes, file: str = "") -> bytes:
        try:
            return self.key.content(data, self.offer.session_key) if self.key else data
        except DecryptionError as fault:
            raise StepError("decrypt_fail", file) from fault

    def plain_checksum(self, text: str, file: str = "") -> str:
        try:
            return self.key.checksum(text) if self.key else text
        except DecryptionError as fault:
            raise StepError("decrypt_fail", file) from fault


class _Zip(_Attempt):
    async def run(self) -> list[StepError]:
        part = self.device.storage.part(self.offer.url)
        try:
            if self.device.public_key and not self.offer.checksum:
                raise StepError("checksum_required")
            await self._fetch(part)
            try:
                self._open(part)
            finally:
                # A whole file that cannot be used is of no use to a later attempt either.
                part.unlink()
        except StepError as failure:
            return [failure]
        return []

    async def _fetch(self, part: Path) -> None:
        version = self.offer.version
        self.device.report("download_zip_start", version)
        self.device.report("download_0", version)
        try:
            await self.device.wire.fetch(
                self.offer.url, part, FetchTerms.for_zip(self.device.identity.platform), self._progress()
            )
        except FetchError as fault:
            raise StepError("download_fail") from fault
        self.device.report("download_zip_complete", version)

    def _progress(self) -> Callable[[int, int], None]:
        reached = 0

        def heard(received: int, expected: int) -> None:
            nonlocal reached
            ten = received * 10 // expected * 10
            if reached < ten < 100:
                reached = ten
                self.device.report(f"download_{ten}", self.offer.version)

        return heard

    def _open(self, part: Path) -> None:
        if self.corrupt:
            part.write_bytes(damaged(part.read_bytes()))
        if self.key:
            part.write_bytes(self.plain(part.read_bytes()))
        expected = self.plain_checksum(self.offer.checksum)
        if expected and zip_checksum(part, short=len(expected) <= SHORT_CHECKSUM) != expected:
            raise StepError("checksum_fail")
        unpack(part, self.staging)


class _Delta(_Attempt):
    async def run(self) -> list[StepError]:
        self.device.report("download_manifest_start", self.offer.version)
        try:
            targets = self._targets()
        except StepError as failure:
            return [failure]
        slots = asyncio.Semaphore(self.device.parallel)
        # Two entries of one content take turns, so that the second finds what the first brought.
        turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

        async def obtain(entry: ManifestEntry, target: Path) -> StepError | None:
            async with turns[entry.file_hash], slots:
                return await self._obtain(entry, target)

        outcomes = await asyncio.gather(*(obtain(entry, target) for entry, target in targets))
        failures = [outcome for outcome in outcomes if outcome]
        if not failures:
            self.device.report("download_manifest_complete", self.offer.version)
        return failures

    def _targets(self) -> list[tuple[ManifestEntry, Path]]:
        found: dict[Path, ManifestEntry] = {}
        for number, entry in enumerate(self.offer.manifest):
            if not (entry.file_name and entry.file_hash and entry.download_url):
                raise StepError("download_manifest_file_fail", entry.file_name or f"#{number}")
            target = inside(self.staging, self._final_name(entry))
            if target is None or target in found:
                raise StepError("manifest_path_fail", entry.file_name)
            found[target] = entry
        return [(entry, target) for target, entry in found.items()]

    def _final_name(self, entry: ManifestEntry) -> str:
        return entry.file_name.removesuffix(".br") if self._is_brotli(entry) else entry.file_name

    def _is_brotli(self, entry: ManifestEntry) -> bool:
        return entry.file_name.endswith(".br") and self.device.identity.release.reads_brotli

    async def _obtain(self, entry: ManifestEntry, target: Path) -> StepError | None:
        try:
            write(target, await self._content(entry))
        except StepError as failure:
            return failure
        except OSError:
            return StepError("download_manifest_file_fail", entry.file_name)
        return None

    async def _content(self, entry: ManifestEntry) -> bytes:
        wanted = self.plain_checksum(entry.file_hash, entry.file_name)
        if wanted == EMPTY_SHA256:
            return b""
        local = self.device.storage.find(wanted)
        if local is not None:
            self.reused += 1
            return local.read_bytes()
        content = self._final(entry, await self._fetched(entry))
        if hashlib.sha256(content).hexdigest() != wanted:
            raise StepError("download_manifest_checksum_fail", entry.file_name)
        self.device.storage.cache(wanted, content)
        return content

    async def _fetched(self, entry: ManifestEntry) -> bytes:
        part = self.device.storage.part(entry.download_url)
        try:
            await self.device.wire.fetch(entry.download_url, part, FetchTerms.for_delta(self.device.identity.platform))
        except FetchError as fault:
            raise StepError("download_manifest_file_fail", entry.file_name) from fault
        data = part.read_bytes()
        part.unlink()
        return damaged(data) if self.corrupt else data

    def _final(self, entry: ManifestEntry, data: bytes) -> bytes:
        # Compressed first, then encrypted: so undone in the opposite order.
        plain = self.plain(data, entry.file_name)
        if not self._is_brotli(entry):
            return plain
        try:
            return bytes(brotli.decompress(plain))
        except brotli.error as fault:
            raise StepError("download_manifest_brotli_fail", entry.file_name) from fault


def zip_checksum(path: Path, *, short: bool) -> str:
    """The SHA-256 of a file as hex, or its CRC-32 as 8 hex digits."""
    if short:
        return f"{zlib.crc32(path.read_bytes()):08x}"
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def damaged(data: bytes) -> bytes:
    """The same length with one byte changed, in the middle."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :] if data else b"\0"
