"""Bundles as a server would offer them: zips, and manifests whose files lie on the fake server."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Mapping
from typing import Any

import brotli  # type: ignore[import-untyped]  # ships no types

from tests.simulator.fake import FakeServer


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def zipped(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return target.getvalue()


def update(version: str, url: str, checksum: str | None, **more: Any) -> dict[str, Any]:
    """The body of an update reply (contract: device 1.9)."""
    return {"version": version, "url": url, "session_key": "", "checksum": checksum, **more}


def offer_zip(server: FakeServer, version: str, files: Mapping[str, bytes]) -> bytes:
    """Let the next check offer these files as a zip."""
    archive = zipped(files)
    server.plan("/updates", update(version, server.put(f"{version}.zip", archive), sha256(archive)))
    return archive


def entry(server: FakeServer, name: str, content: bytes) -> dict[str, str]:
    """A manifest entry; the file is stored on the server, compressed when its name says so."""
    stored = brotli.compress(content) if name.endswith(".br") else content
    hashed = sha256(content)
    suffix = ".br" if name.endswith(".br") else ""
    return {"file_name": name, "file_hash": hashed, "download_url": server.put(f"delta/{hashed}{suffix}", stored)}


def offer_delta(server: FakeServer, version: str, manifest: list[dict[str, str]]) -> None:
    """Let the next check offer this manifest."""
    server.plan("/updates", update(version, "http://updates.example/none.zip", None, manifest=manifest))
