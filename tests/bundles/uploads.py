"""Uploads for the tests: the application behind the upload route over a world, and who sends zips to it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from capstan.bundles.upload import NDJSON, PATH, BundleUpload, Storing
from capstan.files.archive import ArchiveLimits
from capstan.files.incoming import Incoming
from capstan.files.objects import ObjectStore, S3Options, open_objects
from tests.public_api.plane import LOOPBACK, Caller
from tests.public_api.world import APP, World

LIMITS = ArchiveLimits(max_zip_bytes=1 << 20, max_entries=50, max_unpacked_bytes=1 << 24, max_ratio=200)
PAGE = b"<!doctype html><title>app</title>"


@dataclass(frozen=True)
class Uploads:
    """The upload route of a world, its objects, and the folder where uploads arrive."""

    world: World
    app: BundleUpload
    objects: ObjectStore
    incoming: Path

    def send(
        self,
        body: bytes | AsyncIterator[bytes],
        *,
        caller: Caller | None = None,
        app_id: str | None = APP,
        version: str | None = "1.0.0",
        accept: str = "application/json",
        **parameters: str,
    ) -> httpx.Response:
        """Upload as the owner, unless somebody else is named."""
        query = {"app_id": app_id, "version": version, **parameters}
        given = {name: value for name, value in query.items() if value is not None}
        return self.world.runner.run(self.post(body, given, (caller or self.world.owner).headers, accept))

    async def post(
        self,
        body: bytes | AsyncIterator[bytes],
        query: Mapping[str, str],
        headers: Mapping[str, str],
        accept: str = "application/json",
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=True, client=(LOOPBACK, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://capstan.test", trust_env=False) as client:
            return await client.post(
                PATH, params=dict(query), content=body, headers={**headers, "accept": accept}, timeout=60
            )

    def lines(self, body: bytes, **parameters: Any) -> list[dict[str, Any]]:
        """The lines that an upload is told about."""
        answer = self.send(body, accept=NDJSON, **parameters)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == NDJSON
        return [json.loads(line) for line in answer.text.splitlines()]

    def left_over(self) -> list[str]:
        return [path.name for path in self.incoming.iterdir()]


def uploads_of(world: World, folder: Path) -> Uploads:
    incoming = folder / "incoming"
    objects_url = (folder / "objects").as_uri()
    objects = open_objects(objects_url)
    app = BundleUpload(
        registry=world.registry,
        credentials=world.plane.credentials,
        addresses=world.plane.addresses,
        objects=objects,
        incoming=Incoming(incoming, LIMITS.max_zip_bytes),
        storing=Storing(objects_url=objects_url, s3=S3Options(), quality=1, limits=LIMITS),
    )
    return Uploads(world, app, objects, incoming)
