"""Small apps to publish by the hundred: some files are shared by all versions, some are each version's own."""

from __future__ import annotations

import hashlib
import io
import random
import zipfile
from collections.abc import Mapping

_SHARED = b"export const shared = 'what every release has, stored once';\n" * 400
_WORDS = ("note", "page", "user", "sync", "theme", "draft", "share", "title", "render", "update")


def small_build(version: str) -> dict[str, bytes]:
    """The files of a version, always the same."""
    script = " ".join(random.Random(version).choices(_WORDS, k=6000)).encode()
    return {
        "index.html": f"<!doctype html><title>{version}</title>".encode(),
        f"assets/app-{hashlib.sha256(script).hexdigest()[:8]}.js": script,
        "assets/vendor.js": _SHARED,
        "assets/empty.css": b"",
    }


def zip_of(files: Mapping[str, bytes]) -> bytes:
    """The same zip whenever the files are the same."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name], zipfile.ZIP_DEFLATED)
    return content.getvalue()
