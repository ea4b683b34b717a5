"""Uploads that race with each other or end in the middle."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from sqlalchemy import delete

from capstan.bundles import publishing
from capstan.bundles.publishing import Release
from capstan.bundles.upload import PATH
from capstan.db.tables import apikeys, app_versions, channels, stored_objects
from capstan.errors import Problem
from capstan.files.ingest import Ingested
from capstan.updates.snapshot import ManifestFile
from tests.bundles.uploads import PAGE, Uploads
from tests.files.zips import noise, zip_of
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, SYSTEM


def together(uploads: Uploads, bodies: Iterable[bytes]) -> list[httpx.Response]:
    async def send_all() -> list[httpx.Response]:
        query = {"app_id": APP, "version": "1.0.0", "channel": "production"}
        sent = (uploads.post(body, query, uploads.world.owner.headers) for body in bodies)
        return await asyncio.gather(*sent)

    return uploads.world.runner.run(send_all())


@pytest.mark.parametrize("same", [True, False])
def test_of_uploads_of_one_version_exactly_one_wins(uploads: Uploads, same: bool) -> None:
    bodies = [zip_of({"index.html": PAGE, "who.bin": noise(9_000, seed=0 if same else one)}) for one in range(3)]
    answers = together(uploads, bodies)
    (won,) = (answer for answer in answers if answer.status_code == 200)
    assert [refused(lost) for lost in answers if lost is not won] == [(400, "version_already_exists")] * 2
    bundle = accepted(won)["bundle"]
    winner = uploads.objects.read(bundle["r2_path"])
    assert winner in bodies
    assert hashlib.sha256(winner).hexdigest() == bundle["checksum"]
    assert len(uploads.world.rows(app_versions)) == len(uploads.world.rows(channels)) == 1
    assert uploads.world.app()["manifest_bundle_count"] == 1
    assert uploads.left_over() == []


def test_uploads_of_several_versions_share_files_without_harm(uploads: Uploads) -> None:
    async def send_all() -> list[httpx.Response]:
        body = zip_of({"index.html": PAGE, "app.bin": noise(9_000)})
        sent = (
            uploads.post(body, {"app_id": APP, "version": f"1.0.{number}"}, uploads.world.owner.headers)
            for number in range(4)
        )
        return await asyncio.gather(*sent)

    answers = uploads.world.runner.run(send_all())
    assert [answer.status_code for answer in answers] == [200] * 4
    assert uploads.world.app()["manifest_bundle_count"] == 4
    for row in uploads.world.rows(stored_objects):
        assert len(uploads.objects.read(row["key"])) == row["size"]


def give_up(uploads: Uploads, *pieces: bytes, length: int) -> list[Any]:
    """Send pieces of a body that announced a length, then go away; what the server said."""
    query = urlencode({"app_id": APP, "version": "1.0.0", "channel": "production"})
    headers = {**uploads.world.owner.headers, "content-length": str(length)}
    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 40_000),
    }
    left = list(pieces)
    whole = sum(map(len, pieces)) == length
    told: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not left:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left) or not whole}

    async def send(message: Any) -> None:
        told.append(message)

    uploads.world.runner.run(uploads.app(scope, receive, send))
    return told


def test_a_client_that_goes_away_while_it_sends_leaves_nothing(uploads: Uploads) -> None:
    body = zip_of({"index.html": PAGE, "app.bin": noise(9_000)})
    assert give_up(uploads, body[:4_000], body[4_000:8_000], length=len(body)) == []
    assert uploads.left_over() == []
    assert uploads.world.rows(app_versions) == []
    accepted(uploads.send(body))


def test_a_client_that_goes_away_while_its_zip_is_stored_publishes_nothing(uploads: Uploads) -> None:
    body = zip_of({"index.html": PAGE, "app.bin": noise(9_000)})
    assert give_up(uploads, body, length=len(body)) == []
    assert uploads.left_over() == []
    assert [*uploads.world.rows(app_versions), *uploads.world.rows(channels)] == []
    accepted(uploads.send(body))


def test_a_key_that_is_taken_away_meanwhile_publishes_nothing(uploads: Uploads) -> None:
    body = zip_of({"index.html": PAGE, "app.bin": noise(9_000)})

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:4_000]
        with uploads.world.registry.write(SYSTEM) as session:
            session.run(delete(apikeys))
        yield body[4_000:]

    assert refused(uploads.send(pieces())) == (401, "invalid_apikey")
    assert uploads.world.rows(app_versions) == []


def test_a_name_that_is_taken_meanwhile_stays_with_its_bundle(uploads: Uploads) -> None:
    body = zip_of({"index.html": PAGE})

    async def pieces() -> AsyncIterator[bytes]:
        yield body[:10]
        uploads.world.add_bundle("1.0.0", link="https://first")
        yield body[10:]

    assert refused(uploads.send(pieces(), link="https://second")) == (400, "version_already_exists")
    assert [row["link"] for row in uploads.world.rows(app_versions)] == ["https://first"]


def stored_with(key: str) -> Ingested:
    prefix = f"orgs/{ORG}/apps/{APP}"
    files = (ManifestFile("index.html", "hash", key, 1),)
    return Ingested(f"{prefix}/zip/hash/1.0.0.zip", 10, "hash", files, reused=(key,))


def test_files_that_were_swept_meanwhile_are_sent_again(uploads: Uploads) -> None:
    key = f"orgs/{ORG}/apps/{APP}/delta/hash"
    release = Release(app_id=APP, version="1.0.0")
    with pytest.raises(Problem) as refusal, uploads.world.registry.write(SYSTEM) as session:
        publishing.publish(session, SYSTEM, release, stored_with(key), uploads.objects)
    assert (refusal.value.code, refusal.value.status) == ("upload_retryable", 503)
    assert uploads.world.rows(app_versions) == []


def test_files_that_nobody_accounted_for_are_used_if_they_are_there(uploads: Uploads) -> None:
    key = f"orgs/{ORG}/apps/{APP}/delta/hash"
    uploads.objects.put_bytes(key, b"x")
    with uploads.world.registry.write(SYSTEM) as session:
        release = Release(app_id=APP, version="1.0.0")
        publishing.publish(session, SYSTEM, release, stored_with(key), uploads.objects)
    assert key in {row["key"] for row in uploads.world.rows(stored_objects)}
