"""`POST /updates/manifest_size`: how many bytes a set of delta files has (contract: device 1.10).

Clients ask it with the manifest of an update answer, to show the size of a download before it begins. Nothing is
recorded, and no plan is asked.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from capstan.updates import store
from capstan.updates.answers import UNAVAILABLE, DeviceAnswer, refused
from capstan.updates.body import Limit, Refusal, decode_body
from capstan.updates.check import check_body
from capstan.updates.directory import Directory, RegistryUnavailableError

LOOKUPS_AT_ONCE = 1
"""Threads that may look up sizes, which can be long work: the others are left to what devices wait for more."""

MAX_BUNDLES = 100
"""Bundles that one request may name. An update answer names one."""

_NO_BUNDLE = 0
_LARGEST_ID = 2**53 - 1
_KEY = re.compile(r"[?&]key=([^&#]*)")

_encode = msgspec.json.Encoder().encode

Sizes: TypeAlias = Mapping[int | None, Mapping[str, int]]
"""Bytes by bundle id (None is any bundle) and file hash."""


class AskedFile(Struct, frozen=True, gc=False):
    """One entry of the request; name and URL are None where they are no text."""

    file_name: str | None
    file_hash: str
    download_url: str | None


class ManifestSizeHandler:
    """Answers size requests. `limit` is the operator's limit list."""

    def __init__(self, directory: Directory, limit: Limit) -> None:
        self._directory = directory
        self._limit = limit
        self._lookups = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def answer(self, raw: bytes) -> DeviceAnswer:
        """Answer one request."""
        body = decode_body(raw)
        check = body if isinstance(body, Refusal) else check_body(body, self._limit)
        if isinstance(check, Refusal):
            return refused(check)
        assert isinstance(body, dict), "only an object is a valid check"
        try:
            async with self._lookups:
                reply = await self._directory.read(lambda query: _reply(query, check.app_id, body))
        except RegistryUnavailableError:
            return UNAVAILABLE
        return DeviceAnswer(200, reply)


def asked_files(body: Mapping[str, Any]) -> list[AskedFile]:
    """The distinct entries of a request that have a hash, in their order."""
    entries: list[Any] = next((body[name] for name in ("manifest", "files") if isinstance(body.get(name), list)), [])
    distinct = {
        (_text(entry.get("file_name")), file_hash, _text(entry.get("download_url"))): None
        for entry in entries
        if isinstance(entry, dict) and (file_hash := _text(entry.get("file_hash")))
    }
    return [AskedFile(*parts) for parts in distinct]


def size_reply(files: Iterable[AskedFile], bundles: Iterable[int | None], sizes: Sizes) -> bytes:
    """The reply. `bundles` has for each file the bundle whose size counts.

    A file that its own bundle does not have takes the largest size that was found for its hash through another entry.
    """
    largest: dict[str, int] = {}
    for found in sizes.values():
        for file_hash, size in found.items():
            largest[file_hash] = max(size, largest.get(file_hash, 0))
    shown: list[dict[str, Any]] = []
    for file, bundle in zip(files, bundles, strict=True):
        known = sizes.get(bundle, {}).get(file.file_hash) or largest.get(file.file_hash)
        result = {"size": known} if known else {"error": "size_unknown"}
        shown.append({**msgspec.structs.asdict(file), **result})
    known_sizes = [entry["size"] for entry in shown if "size" in entry]
    counts = {"knownFiles": len(known_sizes), "unknownFiles": len(shown) - len(known_sizes)}
    return _encode({"totalSize": sum(known_sizes), **counts, "files": shown})


def _reply(query: store.Query, app_id: str, body: Mapping[str, Any]) -> bytes:
    files = asked_files(body)
    common = _common_bundle(query, app_id, body)
    bundles = [_bundle_of_url(file.download_url) or common for file in files]
    hashes: dict[int | None, list[str]] = defaultdict(list)
    for file, bundle in zip(files, bundles, strict=True):
        if bundle in hashes or len(hashes) < MAX_BUNDLES:
            hashes[bundle].append(file.file_hash)
    sizes = {bundle: store.file_sizes(query, app_id, bundle, wanted) for bundle, wanted in hashes.items()}
    return size_reply(files, bundles, sizes)


def _common_bundle(query: store.Query, app_id: str, body: Mapping[str, Any]) -> int | None:
    """The bundle of files whose URL names none: by id, by name, or None for any."""
    given = _row_id(body.get("version_id"))
    name = _text(body.get("version"))
    if given is not None or not name:
        return given
    found = store.find_bundle(query, app_id, name)
    return found[0] if found is not None else _NO_BUNDLE


def _bundle_of_url(url: str | None) -> int | None:
    key = _KEY.search(url) if url is not None else None
    return _row_id(key[1]) if key is not None else None


def _row_id(value: object) -> int | None:
    """A positive whole number, or a text of digits; anything else names no bundle."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= len(str(_LARGEST_ID)):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 < value <= _LARGEST_ID else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
