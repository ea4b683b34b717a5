"""Rollout members of POST /channel (contract: public 7.5, 14.2; device 6.1)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from capstan.db.tables import app_versions, channels, deploy_history
from tests.channels.requests import put, read, refusal
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, World


@pytest.fixture
def released(world: World) -> World:
    """A world with bundles 1.0.0, 1.1.0 and 1.2.0, and a channel that offers the first."""
    for name in ("1.0.0", "1.1.0", "1.2.0"):
        world.add_bundle(name)
    put(world, version="1.0.0")
    return world


def bundle_id(world: World, name: str) -> int:
    (found,) = (row["id"] for row in world.rows(app_versions) if row["name"] == name)
    return int(found)


def test_the_rollout_bundle_is_given_by_name_or_by_id(released: World) -> None:
    put(released, rolloutVersion="1.1.0")
    assert read(released)["rollout_version_info"] == {"id": bundle_id(released, "1.1.0"), "name": "1.1.0"}
    put(released, rolloutVersion=bundle_id(released, "1.2.0"))
    assert read(released)["rollout_version_info"]["name"] == "1.2.0"
    put(released, rollout_version=None)
    assert read(released)["rollout_version"] is None


def test_stable_and_rollout_bundle_may_be_set_at_once(released: World) -> None:
    put(released, version="1.1.0", rolloutVersion="1.2.0", rolloutEnabled=True, rolloutPercentage=5)
    channel = read(released)
    assert (channel["version"]["name"], channel["rollout_version_info"]["name"]) == ("1.1.0", "1.2.0")
    assert (channel["rolloutEnabled"], channel["rolloutPercentageBps"]) == (True, 500)


def test_a_rollout_needs_a_stable_bundle(released: World) -> None:
    put(released, "empty")
    assert refusal(released, channel="empty", rolloutVersion="1.1.0") == (400, "missing_stable_version")
    assert refusal(released, version=None, rolloutVersion="1.1.0") == (400, "missing_stable_version")
    put(released, "empty", version="1.0.0", rolloutVersion="1.1.0")
    put(released, "other", version="1.0.0")
    put(released, "other", version="", rolloutVersion=None)


def test_an_unknown_deleted_or_foreign_rollout_bundle_is_refused(released: World) -> None:
    released.add_bundle("2.0.0", deleted=True)
    foreign = released.add_bundle("3.0.0", released.add_app("com.other.app"))
    for wanted in ("9.9.9", "2.0.0", "", foreign, 0, -1, 2**62):
        assert refusal(released, rolloutVersion=wanted) == (400, "cannot_find_version")


def test_a_target_change_needs_an_existing_channel(released: World) -> None:
    for members in (
        {"rolloutVersion": "1.1.0"},
        {"rolloutVersion": None},
        {"rollback": True},
        {"promoteToStable": True},
    ):
        assert refusal(released, channel="new", version="1.0.0", **members) == (400, "cannot_find_channel")
    put(released, "new", version="1.0.0", rollback=False, promoteToStable=False, rolloutPercentage=50)


def test_another_rollout_bundle_begins_another_rollout(released: World) -> None:
    put(released, rolloutVersion="1.1.0", rolloutEnabled=True, rolloutPercentageBps=100)
    put(released, rolloutPaused=True, rolloutPauseReason="crashes")
    released.alter(channels, {"auto_pause_last_triggered_at": datetime.now(UTC)})
    before = read(released)
    put(released, rolloutVersion="1.1.0")
    assert read(released)["rollout_id"] == before["rollout_id"]
    put(released, rolloutVersion="1.2.0")
    after = read(released)
    assert after["rollout_id"] != before["rollout_id"]
    assert after["rolloutPausedAt"] is after["rolloutPauseReason"] is after["autoPauseLastTriggeredAt"] is None
    assert (after["rolloutEnabled"], after["rolloutPercentageBps"]) == (True, 100)


def test_taking_the_bundle_away_may_leave_a_reason(released: World) -> None:
    put(released, rolloutVersion="1.1.0")
    put(released, rolloutVersion=None, rolloutPauseReason="withdrawn")
    channel = read(released)
    assert (channel["rolloutPauseReason"], channel["rolloutPausedAt"]) == ("withdrawn", None)
    put(released, rolloutVersion="1.1.0", rolloutPauseReason="new ones have none")
    assert read(released)["rolloutPauseReason"] is None


def test_a_rollout_is_paused_now_or_at_a_moment_and_resumed(released: World) -> None:
    put(released, rolloutVersion="1.1.0")
    put(released, rolloutPaused=True, rolloutPauseReason="crashes")
    paused = datetime.fromisoformat(read(released)["rolloutPausedAt"])
    assert abs(datetime.now(UTC) - paused) < timedelta(minutes=1)
    put(released, rolloutPaused=False)
    assert read(released)["rolloutPausedAt"] is read(released)["rolloutPauseReason"] is None
    for text in ("2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "2026-01-02T03:04:05"):
        put(released, rolloutPausedAt=None)
        put(released, rolloutPausedAt=text)
        assert datetime.fromisoformat(read(released)["rolloutPausedAt"]) == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    put(released, rolloutPausedAt=None, rolloutPauseReason=None)
    assert read(released)["rolloutPausedAt"] is None


def test_a_rollback_takes_the_rollout_back(released: World) -> None:
    put(released, rolloutVersion="1.1.0", rolloutEnabled=True, rolloutPercentage=50)
    put(released, rolloutPaused=True, rolloutPauseReason="crashes")
    put(released, rollback=True)
    channel = read(released)
    assert channel["version"]["name"] == "1.0.0"
    assert channel["rollout_version"] is channel["rolloutPausedAt"] is channel["rolloutPauseReason"] is None
    assert (channel["rolloutEnabled"], channel["rolloutPercentageBps"]) == (False, 0)
    put(released, rollback=True)


def test_a_promotion_makes_the_rollout_bundle_the_stable_one(released: World) -> None:
    put(released, rolloutVersion="1.1.0", rolloutEnabled=True, rolloutPercentage=50)
    put(released, promote_to_stable=True)
    channel = read(released)
    assert channel["version"]["name"] == "1.1.0"
    assert channel["rollout_version"] is None
    assert (channel["rolloutEnabled"], channel["rolloutPercentageBps"]) == (False, 0)
    assert released.rows(deploy_history)[-1]["version_id"] == bundle_id(released, "1.1.0")


def test_there_must_be_something_to_promote(released: World) -> None:
    answer = released.owner.post("/channel", app_id=APP, channel="beta", promoteToStable=True, public=True)
    assert refused(answer) == (400, "missing_rollout_version")
    assert read(released)["public"] is False


def test_the_apps_counts_follow_its_rollouts(released: World) -> None:
    def counts() -> tuple[int, list[str]]:
        app = accepted(released.owner.get(f"/app/{APP}"))
        return app["rollout_channel_count"], app["rollout_paused_version_names"]

    put(released, rolloutVersion="1.1.0", rolloutEnabled=True)
    assert counts() == (0, [])
    put(released, rolloutPercentageBps=1)
    assert counts() == (1, [])
    put(released, "second", version="1.0.0")
    put(released, "second", rolloutVersion="1.2.0", rolloutEnabled=True, rolloutPercentage=100)
    assert counts() == (2, [])
    put(released, rolloutPaused=True)
    assert counts() == (1, ["1.1.0"])
    put(released, rolloutPaused=False)
    accepted(released.owner.delete("/channel", app_id=APP, channel="second"))
    assert counts() == (1, [])
    put(released, rollback=True)
    assert counts() == (0, [])
