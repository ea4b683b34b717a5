"""What a new bundle changes against an earlier one, and what that costs a device that has the earlier one.

A pure comparison of two manifests. A file is told by its name, its content by its hash.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from capstan.updates.snapshot import ManifestFile

_COMPRESSED = ".br"


@dataclass(frozen=True, slots=True)
class Changes:
    """Names of files, each list sorted. `download_bytes` is what a device with the old bundle fetches as files."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: int
    download_bytes: int


def changes(old: Collection[ManifestFile], new: Collection[ManifestFile]) -> Changes:
    """Compare two manifests.

    A file that only moved costs nothing to fetch, because devices find what they have by its hash, but it is listed:
    as removed there and added here.
    """
    before, after = _by_name(old), _by_name(new)
    kept = before.keys() & after.keys()
    changed = {name for name in kept if before[name].file_hash != after[name].file_hash}
    had = {file.file_hash for file in old}
    return Changes(
        added=tuple(sorted(after.keys() - kept)),
        removed=tuple(sorted(before.keys() - kept)),
        changed=tuple(sorted(changed)),
        unchanged=len(kept) - len(changed),
        download_bytes=sum(file.file_size for file in new if file.file_hash not in had),
    )


def _by_name(files: Collection[ManifestFile]) -> Mapping[str, ManifestFile]:
    """Files by the name that they have on a device: one that grows until it is compressed is still the same file."""
    named: dict[str, ManifestFile] = {}
    for file in sorted(files, key=lambda one: one.file_name):
        name = file.file_name
        if file.s3_path.endswith(_COMPRESSED):
            # A plain `a.js.br` beside a plain `a.js` is no compressed form of it.
            name = name if name.removesuffix(_COMPRESSED) in named else name.removesuffix(_COMPRESSED)
        named[name] = file
    return named
