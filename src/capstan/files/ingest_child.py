"""Ingest as a task of `jobs.child`: what crosses the border between server and child, both ways."""

from __future__ import annotations

from pathlib import Path

import msgspec

from capstan.files.archive import ArchiveLimits
from capstan.files.ingest import Ingest, Ingested
from capstan.files.objects import S3Options, open_objects
from capstan.jobs.child import run_in_child
from capstan.jobs.progress import Report


class IngestRequest(msgspec.Struct, frozen=True):
    """An upload that lies in a file, and where it goes. `encrypted`: it came with a session key, so only devices can
    look inside. The objects' place is as `open_objects` takes it."""

    objects_url: str
    s3: S3Options
    zip_path: str
    app_prefix: str
    version: str
    encrypted: bool
    quality: int
    limits: ArchiveLimits


async def ingest_in_child(request: IngestRequest, on_progress: Report) -> Ingested:
    """Check, unpack and store an upload in a child process. The uploaded file stays; remove it afterwards.

    Raises the `Problem` of a bad zip, `StoreUnavailable`'s (503), or `unknown_error` (500).
    """
    return await run_in_child(__name__, request, Ingested, on_progress)


def run(request: bytes, report: Report) -> Ingested:
    """The child's side of `ingest_in_child`."""
    order = msgspec.json.decode(request, type=IngestRequest)
    store = open_objects(order.objects_url, order.s3)
    ingest = Ingest(store, order.app_prefix, order.version, report, order.quality)
    path = Path(order.zip_path)
    return ingest.encrypted_zip(path) if order.encrypted else ingest.plain_zip(path, order.limits)
