"""After a kill: whether what the restarted server has is what the ledger says, to the last byte and the last event."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import brotli  # type: ignore[import-untyped]  # it ships no types
import httpx
from sqlalchemy import Engine, select

from capstan.db.tables import apps, stored_objects
from capstan.files.objects import open_objects
from tests.journeys.ledger import Ledger
from tests.journeys.phones import files_on, phone
from tests.journeys.small_builds import small_build, zip_of
from tests.journeys.telemetry_counts import check_counters, times_logged
from tests.journeys.traffic import APP, CHANNEL, NATIVE, event_body, upload


@dataclass(frozen=True)
class Stored:
    """Where the killed server keeps things."""

    registry: Engine
    telemetry: Engine
    objects: Path


async def inspect(client: httpx.AsyncClient, ledger: Ledger, stored: Stored, *, every_bundle: bool = False) -> None:
    """Settle what is unsure and check what is sure; afterwards nothing is unsure.

    The content of a bundle is checked if it was unsure, or of `every_bundle`.
    """
    touched = await settle_bundles(client, ledger)
    bundles = await _listed(client)
    assert bundles.keys() == ledger.live
    for version in bundles if every_bundle else touched:
        await check_bundle(client, bundles[version])
    await check_phone(str(client.base_url), ledger)
    check_objects(stored, bundles.values())
    await check_events(client, stored.telemetry, ledger)
    check_counters(stored.telemetry)
    ledger.forget_events()


async def settle_bundles(client: httpx.AsyncClient, ledger: Ledger) -> set[str]:
    """An upload without an answer is there, and offered if it was to be, or it is not there and can be sent again.

    Gives the versions that were unsure and are there in the end.
    """
    unsure = ledger.unsure_uploads.keys() | ledger.unsure_deletes
    listed = (await _listed(client)).keys()
    for version in ledger.unsure_uploads.keys() & listed:
        ledger.upload_answered(version)
    for version in list(ledger.unsure_deletes):
        ledger.delete_settled(version, gone=version not in listed)
    answer = await client.get("/channel", params={"app_id": APP, "channel": CHANNEL})
    assert answer.json()["version"]["name"] == ledger.offered
    await asyncio.gather(*(_upload_again(client, ledger, version) for version in ledger.unsure_uploads))
    return unsure & ledger.live


async def check_bundle(client: httpx.AsyncClient, bundle: dict[str, Any]) -> None:
    """Its zip and each of its files can be fetched, and are what was published."""
    files = small_build(bundle["name"])
    assert bundle["storage_provider"] == "r2"
    assert await _fetched(client, bundle["r2_path"]) == zip_of(files)
    assert bundle["checksum"] == hashlib.sha256(zip_of(files)).hexdigest()
    unpacked = {}
    for file in bundle["manifest"]:
        content = await _fetched(client, file["s3_path"])
        if file["file_name"].endswith(".br"):
            content = brotli.decompress(content)
        assert hashlib.sha256(content).hexdigest() == file["file_hash"]
        unpacked[file["file_name"].removesuffix(".br")] = content
    assert unpacked == files


async def check_phone(url: str, ledger: Ledger) -> None:
    """A new phone is offered what the channel must offer, and gets it whole."""
    expected = {path: hashlib.sha256(content).hexdigest() for path, content in small_build(ledger.offered).items()}
    with TemporaryDirectory() as folder:
        async with httpx.AsyncClient() as client:
            device = phone(url, client, Path(folder), app_id=APP, native=NATIVE)
            cycle = await device.cycle()
        assert device.running == ledger.offered, cycle
        assert files_on(device) == expected


def check_objects(stored: Stored, bundles: Collection[dict[str, Any]]) -> None:
    """The registry accounts for every object that a bundle needs, and every object that it accounts for is there."""
    needed = {bundle["r2_path"] for bundle in bundles}
    needed |= {file["s3_path"] for bundle in bundles for file in bundle["manifest"]}
    with stored.registry.connect() as connection:
        rows = connection.execute(select(stored_objects.c.key, stored_objects.c.size))
        accounted = {row.key: row.size for row in rows}
        with_manifest = connection.execute(select(apps.c.manifest_bundle_count)).scalar_one()
    assert needed <= accounted.keys()
    heads = open_objects(stored.objects).heads(accounted.keys())
    assert {key: head.size for key, head in heads.items()} == accounted
    assert with_manifest == len(bundles)


async def check_events(client: httpx.AsyncClient, engine: Engine, ledger: Ledger) -> None:
    """Every accepted event is in the log once, and so is one that was sent again because its answer never came.

    An event without a stamp, which cannot be recognised, is not sent again: it is there once or not at all.
    """
    again = [event for event in ledger.unsure_events if event.stamp is not None]
    if again:
        answer = (await client.post("/stats", json=[event_body(event) for event in again])).json()
        assert [result["status"] for result in answer["results"]] == ["ok"] * len(again)
    logged = times_logged(engine, [*ledger.events, *ledger.unsure_events])
    wrong = [event for event in [*ledger.events, *again] if logged[event] != 1]
    assert not wrong, f"{len(wrong)} of {len(ledger.events) + len(again)} events are missing or doubled: {wrong[:3]}"
    assert all(logged[event] <= 1 for event in ledger.unsure_events)


async def _upload_again(client: httpx.AsyncClient, ledger: Ledger, version: str) -> None:
    ledger.upload_begins(version, on_channel=False)
    answer = await client.request(**upload(version, on_channel=False))
    assert answer.status_code == 200, answer.text
    ledger.upload_answered(version)


async def _listed(client: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """All bundles that are not deleted, by version."""
    found: dict[str, dict[str, Any]] = {}
    page = 0
    while True:
        answer = await client.get("/bundle", params={"app_id": APP, "page": page})
        assert answer.status_code == 200, answer.text
        bundles = answer.json()
        if not bundles:
            return found
        found.update((bundle["name"], bundle) for bundle in bundles)
        page += 1


async def _fetched(client: httpx.AsyncClient, key: str) -> bytes:
    answer = await client.get(f"/files/read/attachments/{key}")
    assert answer.status_code == 200, (key, answer.text)
    return answer.content
