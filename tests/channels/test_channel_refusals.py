"""POST /channel: what is refused, with which code, in which order (contract: public 14.2, CD-28)."""

from __future__ import annotations

from typing import Any

from capstan.db.tables import channels
from tests.channels.requests import put, read, refusal
from tests.public_api.plane import Caller, refused
from tests.public_api.world import APP, World

BAD_TYPES: list[dict[str, Any]] = [
    {"version": 5},
    {"version": True},
    {"version": ["1.0.0"]},
    {"public": "yes"},
    {"public": "true"},
    {"public": 1},
    {"ios": "x"},
    {"allow_device_self_set": 0},
    {"disableAutoUpdate": "sometimes"},
    {"disableAutoUpdate": True},
    {"disableAutoUpdate": ""},
    {"disable_auto_update": "Major"},
    {"rolloutVersion": True},
    {"rolloutVersion": 1.5},
    {"rolloutEnabled": "on"},
    {"rolloutPaused": 1},
    {"rolloutPausedAt": "yesterday"},
    {"rolloutPausedAt": 5},
    {"rolloutPausedAt": "0001-01-01T00:00:00+10:00"},
    {"rolloutPauseReason": 5},
    {"rollback": "true"},
    {"promoteToStable": 1},
    {"autoPauseEnabled": "no"},
]


def test_a_wrong_type_or_word_is_an_invalid_body(world: World) -> None:
    put(world, "existing")
    for members in BAD_TYPES:
        assert refusal(world, **members) == (400, "invalid_body"), members
        assert refusal(world, channel="existing", **members) == (400, "invalid_body"), members


def test_a_name_that_is_no_text_or_too_long_is_an_invalid_body(world: World) -> None:
    for name in (5, True, ["beta"], {"name": "beta"}, "x" * 256):
        assert refused(world.owner.post("/channel", app_id=APP, channel=name)) == (400, "invalid_body")


def test_any_other_text_is_a_name(world: World) -> None:
    for name in ("x" * 255, "Ä ö/ü?&=#%", "beta ", "🎉", "unknown", "builtin", "0"):
        put(world, name)
        assert read(world, name)["name"] == name


RANGES = [
    ("rolloutPercentageBps", 0, 10_000),
    ("rolloutCacheTtlSeconds", 60, 31_536_000),
    ("autoPauseWindowMinutes", 1, 10_080),
    ("autoPauseFailureRateBps", 0, 10_000),
    ("autoPauseMinAttempts", 0, 2**31 - 1),
    ("autoPauseMinFailures", 0, 2**31 - 1),
    ("autoPauseCooldownMinutes", 0, 10_080),
]


def test_an_integer_outside_its_range_is_refused_with_the_range(world: World) -> None:
    for name, lowest, highest in RANGES:
        outside: list[Any] = [lowest - 1, highest + 1, lowest + 0.5, str(lowest), True, [lowest]]
        for value in outside:
            answer = world.owner.post("/channel", app_id=APP, channel="beta", **{name: value})
            assert refused(answer) == (400, "invalid_rollout_config")
            assert answer.json()["message"] == f"{name} must be an integer between {lowest} and {highest}"
            assert answer.json()["moreInfo"] == {"field": name, "value": value, "min": lowest, "max": highest}
        for bound in (lowest, highest):
            put(world, "beta", **{name: bound})
            assert read(world)[name] == bound


def test_a_percentage_outside_0_to_100_is_refused(world: World) -> None:
    values: list[Any] = [-0.01, 100.01, "50", True, [], 1e300, {}]
    for value in values:
        assert refusal(world, rolloutPercentage=value) == (400, "invalid_rollout_percentage")


def test_a_percentage_is_rounded_to_basis_points(world: World) -> None:
    for percentage, bps in (
        (100, 10_000), (12.5, 1250), (33.333, 3333), (0.005, 1), (0.004, 0), (99.999, 10_000), (0, 0),
    ):  # fmt: skip
        put(world, rolloutPercentage=percentage)
        assert read(world)["rolloutPercentageBps"] == bps


def test_basis_points_win_over_a_percentage(world: World) -> None:
    put(world, rolloutPercentage=50, rolloutPercentageBps=100)
    assert read(world)["rolloutPercentageBps"] == 100


def test_a_confidence_outside_0_to_1_is_refused(world: World) -> None:
    values: list[Any] = [0, 1, -0.5, 1.5, "0.9", True, 0.000001, 0.9999999, []]
    for value in values:
        assert refusal(world, autoPauseConfidence=value) == (400, "invalid_auto_pause_confidence")


def test_an_unknown_auto_pause_action_is_refused(world: World) -> None:
    for value in ("stop", "", "Pause", 5, True, ["pause"]):
        assert refusal(world, autoPauseAction=value) == (400, "invalid_auto_pause_action")


def test_refusals_come_in_the_contracts_order(world: World) -> None:
    """Each request has every later fault too; each step removes the fault that was told."""
    world.add_bundle("1.0.0")
    put(world)
    faults: dict[str, Any] = {
        "app_id": "bad",
        "channel": "",
        "version": "9.9.9",
        "rolloutVersion": "8.8.8",
        "rolloutPercentageBps": -1,
    }
    reader = world.caller_of_mode("read")

    def code(caller: Caller, **changes: Any) -> str:
        faults.update(changes)
        return refused(caller.request("POST", "/channel", body=faults))[1]

    assert code(reader, app_id=None) == "missing_app_id"
    assert code(reader, app_id="bad") == "invalid_app_id"
    assert code(reader, app_id=APP) == "missing_channel_name"
    assert code(reader, channel="beta") == "cannot_access_app"
    settings_only = world.caller_with_roles(world.on_channel("channel_admin", world.rows(channels)[0]))
    assert code(settings_only) == "invalid_rollout_config"
    assert code(settings_only, rolloutPercentageBps=1) == "cannot_find_version"
    assert code(settings_only, version=None) == "missing_stable_version"
    assert code(settings_only, version="1.0.0") == "cannot_find_version"
    assert read(world)["version"] is None


def test_a_missing_name_comes_before_access(world: World) -> None:
    stranger = world.caller_of_mode("all", world.add_org("Foreign"))
    answer = stranger.post("/channel", app_id=APP)
    assert refused(answer) == (400, "missing_channel_name")
    assert answer.json()["message"] == "You must provide a channel name"
    assert refused(stranger.post("/channel", app_id=APP, channel=None)) == (400, "missing_channel_name")


def test_an_unknown_app_and_one_out_of_reach_look_alike(world: World) -> None:
    world.add_app("com.foreign.app", world.add_org("Foreign"))
    for app_id in ("com.foreign.app", "com.unknown.app"):
        answer = world.owner.post("/channel", app_id=app_id, channel="beta", version="1.0.0")
        assert refused(answer) == (400, "cannot_access_app")
        assert answer.json()["moreInfo"] == {"app_id": app_id}


def test_existing_and_missing_channels_look_alike_to_strangers(world: World) -> None:
    put(world)
    stranger = world.caller_of_mode("all", world.add_org("Foreign"))
    answers = [stranger.post("/channel", app_id=APP, channel=name) for name in ("beta", "none")]
    assert answers[0].json() == answers[1].json()
