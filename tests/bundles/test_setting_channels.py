"""PUT /bundle (contract: public 16.4)."""

from __future__ import annotations

from typing import Any

import httpx

from capstan.db.tables import channels, deploy_history
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import APP, OWNER, World


def put(caller: Caller, **body: Any) -> httpx.Response:
    return caller.request("PUT", "/bundle", body=body)


def add_channel(world: World, name: str = "production", app_id: str = APP) -> int:
    accepted(world.owner.post("/channel", app_id=app_id, channel=name))
    (channel_id,) = (row["id"] for row in world.rows(channels) if (row["name"], row["app_id"]) == (name, app_id))
    assert isinstance(channel_id, int)
    return channel_id


def test_a_channel_is_pointed_at_a_bundle(world: World) -> None:
    bundle_id, channel_id = world.add_bundle("1.0.0"), add_channel(world)
    revision = world.app()["revision"]
    answer = accepted(put(world.owner, app_id=APP, version_id=bundle_id, channel_id=channel_id))
    assert answer == {"status": "success", "message": "Bundle 1.0.0 set to channel production"}
    shown = accepted(world.owner.get("/channel", app_id=APP, channel="production"))
    assert shown["version"] == {"id": bundle_id, "name": "1.0.0"}
    assert world.app()["revision"] > revision


def test_it_is_a_deployment_and_is_recorded(world: World) -> None:
    bundle_id, channel_id = world.add_bundle("1.0.0"), add_channel(world)
    accepted(put(world.owner, app_id=APP, version_id=bundle_id, channel_id=channel_id))
    (deployment,) = world.rows(deploy_history)
    assert (deployment["channel_id"], deployment["version_id"]) == (channel_id, bundle_id)
    assert deployment["created_by"] == OWNER
    entry = world.audit_of("channels")[-1]
    assert (entry["operation"], entry["changed_fields"]) == ("UPDATE", ["updated_at", "version"])


def test_the_same_again_is_no_new_deployment(world: World) -> None:
    bundle_id, channel_id = world.add_bundle("1.0.0"), add_channel(world)
    for _ in range(2):
        accepted(put(world.owner, app_id=APP, version_id=bundle_id, channel_id=channel_id))
    assert len(world.rows(deploy_history)) == 1


def test_ids_may_come_in_the_query(world: World) -> None:
    query = {"app_id": APP, "version_id": world.add_bundle("1.0.0"), "channel_id": add_channel(world)}
    accepted(world.owner.request("PUT", "/bundle", query=query))


def test_failures_come_in_order(world: World) -> None:
    bundle_id, channel_id = world.add_bundle("1.0.0"), add_channel(world)
    reader = world.caller_of_mode("read")
    missing = (400, "missing_required_fields")
    assert refused(put(world.owner)) == (400, "invalid_json_parse_body")
    assert refused(put(world.owner, version_id=bundle_id, channel_id=channel_id)) == missing
    assert refused(put(world.owner, app_id=APP, version_id=0, channel_id=channel_id)) == missing
    assert refused(put(world.owner, app_id="invalid_app", version_id=bundle_id)) == missing
    given = {"version_id": bundle_id, "channel_id": channel_id}
    assert refused(put(world.owner, app_id="invalid_app", **given)) == (400, "invalid_app_id")
    unknown = put(world.owner, app_id="nonexistent.app", **given)
    assert refused(unknown) == (400, "cannot_access_app")
    assert unknown.json()["moreInfo"] == {"app_id": "nonexistent.app", "channel_id": channel_id}
    nothing = {"version_id": 999_999, "channel_id": 999_999}
    assert refused(put(reader, app_id=APP, **nothing)) == (400, "cannot_access_app")
    assert refused(put(world.owner, app_id=APP, **nothing)) == (400, "cannot_find_version")
    assert refused(put(world.owner, app_id=APP, version_id=bundle_id, channel_id=999_999)) == (
        400,
        "cannot_find_channel",
    )


def test_deleted_bundles_and_those_of_other_apps_are_not_found(world: World) -> None:
    channel_id = add_channel(world)
    deleted = world.add_bundle("1.0.0", deleted=True)
    foreign = world.add_bundle("1.0.1", world.add_app("com.other.app"))
    for bundle_id in (deleted, foreign):
        answer = put(world.owner, app_id=APP, version_id=bundle_id, channel_id=channel_id)
        assert refused(answer) == (400, "cannot_find_version")


def test_channels_of_other_apps_are_not_found(world: World) -> None:
    foreign = add_channel(world, app_id=world.add_app("com.other.app"))
    answer = put(world.owner, app_id=APP, version_id=world.add_bundle("1.0.0"), channel_id=foreign)
    assert refused(answer) == (400, "cannot_find_channel")


def test_an_unfinished_upload_is_not_offered(world: World) -> None:
    unfinished = world.add_bundle("1.0.0", storage_provider="r2-direct", external_url=None)
    answer = put(world.owner, app_id=APP, version_id=unfinished, channel_id=add_channel(world))
    assert refused(answer) == (400, "cannot_set_bundle_to_channel")


def test_the_right_may_be_held_on_the_channel_alone(world: World) -> None:
    bundle_id, channel_id, other_id = world.add_bundle("1.0.0"), add_channel(world), add_channel(world, "beta")
    (channel,) = (row for row in world.rows(channels) if row["id"] == channel_id)
    promoter = world.caller_with_roles(world.on_channel("channel_uploader", channel))
    accepted(put(promoter, app_id=APP, version_id=bundle_id, channel_id=channel_id))
    refusal = put(promoter, app_id=APP, version_id=bundle_id, channel_id=other_id)
    assert refused(refusal) == (400, "cannot_access_app")
