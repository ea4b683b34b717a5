"""`set_version`, by which the rooms of bundles put one on a channel (contract: public 16.4)."""

from __future__ import annotations

import pytest
from sqlalchemy import RowMapping

from capstan.access.principal import Principal
from capstan.apikeys import service as apikeys
from capstan.channels import service
from capstan.db.tables import apikeys as keys
from capstan.db.tables import app_versions, channels, deploy_history
from capstan.errors import Problem
from tests.channels.requests import put, read
from tests.public_api.plane import Caller, accepted
from tests.public_api.world import APP, World


def principal_of(world: World, caller: Caller) -> Principal:
    with world.registry.read() as session:
        principal = apikeys.principal_of_secret(session, caller.headers["authorization"])
    assert principal is not None
    return principal


def bundle(world: World, name: str) -> RowMapping:
    (found,) = (row for row in world.rows(app_versions) if row["name"] == name)
    return found


def test_a_new_version_is_a_deployment_by_whoever_acts(world: World) -> None:
    world.add_bundle("1.0.0")
    put(world, rolloutPercentage=50)
    before = read(world)
    revision = world.app()["revision"]
    owner = principal_of(world, world.owner)
    with world.registry.write(owner) as session:
        row = service.set_version(session, owner, world.rows(channels)[0], bundle(world, "1.0.0"))
    assert row["version"] == bundle(world, "1.0.0")["id"]
    after = read(world)
    assert {name for name in after if after[name] != before[name]} == {"version", "updated_at"}
    assert len(world.rows(deploy_history)) == 1
    assert world.audit_of("channels")[-1]["changed_fields"] == ["updated_at", "version"]
    assert world.app()["revision"] == revision + 1


def test_a_channel_that_is_gone_meanwhile_is_not_found(world: World) -> None:
    world.add_bundle("1.0.0")
    put(world)
    (channel,) = world.rows(channels)
    accepted(world.owner.delete("/channel", app_id=APP, channel="beta"))
    owner = principal_of(world, world.owner)
    with pytest.raises(Problem) as refused, world.registry.write(owner) as session:
        service.set_version(session, owner, channel, bundle(world, "1.0.0"))
    assert refused.value.code == "cannot_find_channel"


def test_a_preview_key_sets_its_own_bundles_on_its_own_channel(world: World) -> None:
    preview = world.caller_with_roles(world.on_app("app_preview"))
    world.add_bundle("1.0.0")
    world.add_bundle("2.0.0", created_by_apikey_rbac_id=world.rows(keys)[-1]["rbac_id"])
    accepted(preview.post("/channel", app_id=APP, channel="pr-7"))
    (channel,) = world.rows(channels)
    principal = principal_of(world, preview)
    with world.registry.write(principal) as session:
        service.set_version(session, principal, channel, bundle(world, "2.0.0"))
    with pytest.raises(Problem) as refused, world.registry.write(principal) as session:
        service.set_version(session, principal, channel, bundle(world, "1.0.0"))
    assert refused.value.code == "cannot_set_bundle_to_channel"
    assert read(world, "pr-7")["version"]["name"] == "2.0.0"
