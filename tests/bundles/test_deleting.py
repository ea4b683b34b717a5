"""DELETE /bundle (contract: public 16.2; what follows from it: device 4.7)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update

from capstan.db.tables import app_versions, apps, channels, manifest
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import APP, ORG, SYSTEM, World


def add_channel(world: World, name: str, **columns: Any) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel=name))
    with world.registry.write(SYSTEM) as session:
        session.run(update(channels).where(channels.c.name == name).values(columns))


def live_names(world: World) -> set[str]:
    return {bundle["name"] for bundle in accepted(world.owner.get("/bundle", app_id=APP))}


def test_a_bundle_is_deleted_softly(world: World) -> None:
    bundle_id = world.add_bundle("1.0.0", size=100, manifest_count=1)
    world.add_bundle("1.0.1")
    with world.registry.write(SYSTEM) as session:
        files = {"app_version_id": bundle_id, "file_name": "index.html", "file_hash": "h", "s3_path": "p"}
        session.run(insert(manifest).values(files))
        session.run(update(apps).values(manifest_bundle_count=1))
    revision = world.app()["revision"]
    assert accepted(world.owner.delete("/bundle", app_id=APP, version="1.0.0")) == {"status": "ok"}
    (row,) = (row for row in world.rows(app_versions) if row["id"] == bundle_id)
    assert row["deleted"] is True
    assert row["deleted_at"] is not None
    assert (row["size"], row["manifest_count"]) == (0, 0)
    assert world.rows(manifest) == []
    assert world.app()["manifest_bundle_count"] == 0
    assert world.app()["revision"] > revision
    assert live_names(world) == {"1.0.1"}


def test_the_name_stays_taken(world: World) -> None:
    world.add_bundle("1.0.0")
    accepted(world.owner.delete("/bundle", app_id=APP, version="1.0.0"))
    again = {"version": "1.0.0", "external_url": "https://x", "checksum": "c"}
    assert refused(world.owner.post("/bundle", app_id=APP, **again)) == (400, "cannot_create_bundle")


def test_deleting_is_recorded(world: World) -> None:
    bundle_id = world.add_bundle("1.0.0")
    accepted(world.owner.delete("/bundle", app_id=APP, version="1.0.0"))
    (entry,) = world.audit_of("app_versions")
    assert (entry["operation"], entry["record_id"], entry["org_id"]) == ("UPDATE", str(bundle_id), ORG)
    assert entry["changed_fields"] == ["deleted", "deleted_at", "updated_at"]
    assert entry["actor_type"] == "apikey"


def test_failures_come_in_order(world: World) -> None:
    reader = world.caller_of_mode("read")
    assert refused(world.owner.delete("/bundle")) == (400, "invalid_json_parse_body")
    assert refused(world.owner.delete("/bundle", version="1.0.0")) == (400, "missing_app_id")
    assert refused(world.owner.delete("/bundle", app_id="invalid_app")) == (400, "invalid_app_id")
    assert refused(world.owner.delete("/bundle", app_id="nonexistent.app")) == (400, "cannot_delete_bundle")
    assert refused(reader.delete("/bundle", app_id=APP, version="none")) == (400, "cannot_delete_bundle")
    assert refused(world.owner.delete("/bundle", app_id=APP, version="none")) == (400, "cannot_delete_version")


def test_a_second_time_it_is_gone(world: World) -> None:
    world.add_bundle("1.0.0")
    accepted(world.owner.delete("/bundle", app_id=APP, version="1.0.0"))
    assert refused(world.owner.delete("/bundle", app_id=APP, version="1.0.0")) == (400, "cannot_delete_version")


@pytest.mark.parametrize("role", ["version", "rollout_version"])
def test_a_bundle_in_use_is_kept(world: World, role: str) -> None:
    add_channel(world, "production", **{role: world.add_bundle("1.0.0")})
    kept = world.owner.delete("/bundle", app_id=APP, version="1.0.0")
    assert refused(kept) == (400, "cannot_delete_linked_version")
    assert kept.json()["moreInfo"] == {"app_id": APP, "version": "1.0.0"}
    assert live_names(world) == {"1.0.0"}


def test_without_a_version_all_go_that_no_channel_uses(world: World) -> None:
    add_channel(world, "production", version=world.add_bundle("1.0.0"), rollout_version=world.add_bundle("1.0.1"))
    world.add_bundle("1.0.2", manifest_count=3)
    world.add_bundle("1.0.3")
    world.add_bundle("1.0.0", world.add_app("com.other.app"))
    world.alter(apps, {"manifest_bundle_count": 1})
    assert accepted(world.owner.request("DELETE", "/bundle", body={"app_id": APP})) == {"status": "ok"}
    assert live_names(world) == {"1.0.0", "1.0.1"}
    assert [row["app_id"] for row in world.rows(app_versions) if not row["deleted"]].count("com.other.app") == 1
    assert world.app()["manifest_bundle_count"] == 0
    assert len(world.audit_of("app_versions")) == 2


def test_deleting_all_of_nothing_is_fine(world: World) -> None:
    assert accepted(world.owner.delete("/bundle", app_id=APP)) == {"status": "ok"}


@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_version_does_not_mean_all(world: World, empty: str | None) -> None:
    world.add_bundle("1.0.0")
    body = {"app_id": APP, "version": empty}
    assert refused(world.owner.request("DELETE", "/bundle", body=body)) == (400, "cannot_delete_version")
    assert refused(world.owner.delete("/bundle", app_id=APP, version="")) == (400, "cannot_delete_version")
    assert live_names(world) == {"1.0.0"}


def test_who_may_delete(world: World) -> None:
    def may(caller: Caller, name: str) -> bool:
        world.add_bundle(name)
        return caller.delete("/bundle", app_id=APP, version=name).status_code == 200

    on_org = world.caller_with_roles(world.on_app("app_admin"))
    assert may(on_org, "1.0.0")
    assert may(world.caller_of_mode("write"), "1.0.1")
    assert not may(world.caller_of_mode("upload"), "1.0.2")
    assert not may(world.caller_with_roles(world.on_app("app_developer")), "1.0.3")


def test_a_deleted_bundle_is_not_offered_any_more(world: World) -> None:
    world.add_bundle("1.0.0")
    accepted(world.owner.delete("/bundle", app_id=APP, version="1.0.0"))
    setting = world.owner.post("/channel", app_id=APP, channel="production", version="1.0.0")
    assert refused(setting) == (400, "cannot_find_version")
    with world.registry.read() as session:
        assert session.rows(select(channels)) == []


def test_deleting_and_offering_at_the_same_time_never_leave_a_channel_without_its_bundle(world: World) -> None:
    accepted(world.owner.post("/channel", app_id=APP, channel="production"))
    (channel,) = world.rows(channels)

    async def race(bundle_id: int, name: str) -> tuple[httpx.Response, ...]:
        transport = httpx.ASGITransport(world.plane)
        headers = dict(world.owner.headers)
        async with httpx.AsyncClient(
            transport=transport, base_url="http://capstan.test", headers=headers, trust_env=False
        ) as client:
            offered = {"app_id": APP, "version_id": bundle_id, "channel_id": channel["id"]}
            return await asyncio.gather(
                client.put("/bundle", json=offered),
                client.delete("/bundle", params={"app_id": APP, "version": name}),
                client.delete("/bundle", params={"app_id": APP}),
            )

    for number in range(10):
        bundle_id = world.add_bundle(f"1.0.{number}")
        answers = world.runner.run(race(bundle_id, f"1.0.{number}"))
        assert all(answer.status_code in (200, 400) for answer in answers), [answer.text for answer in answers]
        offered = {row["version"] for row in world.rows(channels)} - {None}
        assert not offered & {row["id"] for row in world.rows(app_versions) if row["deleted"]}
