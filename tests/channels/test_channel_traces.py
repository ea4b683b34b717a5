"""What a write of a channel leaves behind: revision, audit log (contract: public 7.5, 11)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from capstan.db.tables import channels, deploy_history
from tests.channels.requests import put, read, refusal
from tests.public_api.world import ORG, OWNER, World


def test_a_change_moves_the_apps_revision_and_a_repetition_does_not(world: World) -> None:
    revisions = [world.app()["revision"]]
    changes: list[dict[str, Any]] = [{}, {"public": True}, {"public": True}, {"allow_dev": False}]
    for members in changes:
        put(world, **members)
        revisions.append(world.app()["revision"])
    steps = [later - earlier for earlier, later in pairwise(revisions)]
    assert steps == [1, 1, 0, 1]


def test_nothing_is_written_on_failure(world: World) -> None:
    before = world.app(), world.audit_of("channels")
    assert refusal(world, public=True, version="9.9.9") == (400, "cannot_find_version")
    assert refusal(world, public=True, rolloutVersion="9.9.9") == (400, "cannot_find_channel")
    assert (world.app(), world.audit_of("channels")) == before
    assert world.rows(channels) == world.rows(deploy_history) == []


def test_the_audit_log_names_who_created_and_changed(world: World) -> None:
    put(world, allow_dev=False)
    put(world, allow_dev=True)
    put(world, allow_dev=True)
    created, changed, repeated = world.audit_of("channels")
    assert [row["operation"] for row in (created, changed, repeated)] == ["INSERT", "UPDATE", "UPDATE"]
    assert {row["actor_type"] for row in (created, changed, repeated)} == {"apikey"}
    assert created["user_id"] == created["actor_user_id"] == OWNER
    assert created["org_id"] == ORG
    assert created["record_id"] == str(read(world)["id"])
    assert created["old_record"] is None
    assert created["new_record"]["allow_dev"] is False
    assert created["changed_fields"] is repeated["changed_fields"] is None
    assert changed["changed_fields"] == ["allow_dev", "updated_at"]
    assert (changed["old_record"]["allow_dev"], changed["new_record"]["allow_dev"]) == (False, True)


def test_a_demotion_is_in_the_audit_log_too(world: World) -> None:
    put(world, "a", public=True)
    put(world, "b", public=True)
    demotion = next(row for row in world.audit_of("channels") if row["operation"] == "UPDATE")
    assert demotion["new_record"]["name"] == "a"
    assert demotion["changed_fields"] == ["public", "updated_at"]
    assert demotion["actor_type"] == "apikey"


def test_the_apps_own_row_is_not_audited_for_its_counts(world: World) -> None:
    put(world, rolloutEnabled=True)
    assert [row["operation"] for row in world.audit_of("apps")] == ["INSERT"]
