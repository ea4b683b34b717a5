"""Auto-pause from the reports of devices to the channel, on both databases (contract: device 6.4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from capstan.apps import service as apps
from capstan.rollouts import service as rollouts
from capstan.rollouts.service import NOTIFICATION
from capstan.telemetry.rollout_queries import Reported, RolloutQuestion, reported
from tests.public_api.world import APP, SYSTEM, World, epoch_ms
from tests.rollouts.watching import ROLLOUT, STABLE, Rollout

REASON = (
    "Auto-pause {action} for production rollout 1.1.0: fail 1000bps, confidence lower bound 552bps, "
    "threshold 500bps, attempts 100."
)


def test_a_rollout_that_fails_too_often_is_paused_and_says_why(world: World) -> None:
    rollout = Rollout(world)
    rollout.installs(90)
    rollout.fails(10)
    before = world.app()["revision"]
    done = rollout.watch()
    channel = rollout.channel
    assert channel["rollout_paused_at"] == rollout.clock()
    assert channel["rollout_pause_reason"] == REASON.format(action="pause")
    assert channel["auto_pause_last_triggered_at"] == channel["auto_pause_last_checked_at"] == rollout.clock()
    assert (channel["rollout_enabled"], channel["rollout_percentage_bps"]) == (True, 5000)
    assert done.detail == {"checked": 1, "triggered": 1, "channels": [f"{APP} production"]}
    assert done.notable
    assert world.app()["revision"] > before
    assert world.app()["rollout_channel_count"] == 0
    assert world.app()["rollout_paused_version_names"] == [ROLLOUT]


def test_the_pause_is_in_the_audit_log_as_the_systems_own(world: World) -> None:
    rollout = Rollout(world)
    rollout.fails(50)
    rollout.watch()
    entry = world.audit_of("channels")[-1]
    assert (entry["operation"], entry["actor_type"], entry["user_id"]) == ("UPDATE", "system", None)
    assert set(entry["changed_fields"]) >= {"rollout_paused_at", "rollout_pause_reason"}


def test_a_rollback_takes_the_rollout_away_and_keeps_the_reason(world: World) -> None:
    rollout = Rollout(world, auto_pause_action="rollback")
    rollout.installs(90)
    rollout.fails(10)
    before = rollout.channel
    rollout.watch()
    channel = rollout.channel
    assert channel["rollout_version"] is None
    assert channel["version"] == before["version"]
    assert channel["rollout_id"] != before["rollout_id"]
    assert (channel["rollout_enabled"], channel["rollout_percentage_bps"]) == (False, 0)
    assert channel["rollout_paused_at"] is None
    assert channel["rollout_pause_reason"] == REASON.format(action="rollback")
    assert channel["auto_pause_last_triggered_at"] == rollout.clock()


def test_a_notification_changes_nothing_for_devices_and_is_not_repeated_within_the_cooldown(world: World) -> None:
    rollout = Rollout(world, auto_pause_action="notify")
    rollout.installs(90)
    rollout.fails(10)
    with capture_logs() as logs:
        first = rollout.watch()
        rollout.clock.pass_time(minutes=30)
        second = rollout.watch()
    channel = rollout.channel
    assert (channel["rollout_paused_at"], channel["rollout_enabled"]) == (None, True)
    assert channel["rollout_pause_reason"] == REASON.format(action="notify")
    assert [line["reason"] for line in logs if line["event"] == NOTIFICATION] == [REASON.format(action="notify")]
    assert (first.detail["triggered"], second.detail["triggered"]) == (1, 0)
    assert channel["auto_pause_last_checked_at"] == rollout.clock()


def test_a_rollout_that_is_well_is_noted_as_checked_and_left_alone(world: World) -> None:
    rollout = Rollout(world)
    rollout.installs(99)
    rollout.fails(1)
    audited = len(world.audit_of("channels"))
    before, revision = rollout.channel, world.app()["revision"]
    done = rollout.watch()
    after = rollout.channel
    assert {name for name in after if after[name] != before[name]} == {"auto_pause_last_checked_at"}
    assert (done.detail, done.notable) == ({"checked": 1, "triggered": 0}, False)
    assert world.app()["revision"] == revision
    assert len(world.audit_of("channels")) == audited


@pytest.mark.parametrize(
    "asked",
    [
        {"rollout_enabled": False},
        {"auto_pause_enabled": False},
        {"rollout_percentage_bps": 0},
        {"rollout_version": None},
        {"rollout_paused": True},
    ],
)
def test_only_running_rollouts_with_auto_pause_are_looked_at(world: World, asked: dict[str, Any]) -> None:
    rollout = Rollout(world)
    rollout.fails(50)
    rollout.set(**asked)
    assert rollout.watch().detail == {"checked": 0, "triggered": 0}
    assert rollout.channel["auto_pause_last_checked_at"] is None


def test_only_what_was_reported_within_the_window_counts(world: World) -> None:
    rollout = Rollout(world, auto_pause_window_minutes=60)
    rollout.fails(50)
    rollout.clock.pass_time(minutes=61)
    assert rollout.watch().detail["triggered"] == 0


@pytest.mark.parametrize(
    "meanwhile",
    [
        {"rollout_paused": True},
        {"rollout_enabled": False},
        {"rollout_percentage_bps": 0},
        {"rollout_version": STABLE},
        {"promote_to_stable": True},
        {"auto_pause_enabled": False},
    ],
)
def test_a_rollout_that_changed_meanwhile_is_not_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch, meanwhile: dict[str, Any]
) -> None:
    rollout = Rollout(world)
    rollout.fails(50)
    monkeypatch.setattr(rollouts, "reported", changing(lambda: rollout.set(**meanwhile)))
    done = rollout.watch()
    assert done.detail == {"checked": 1, "triggered": 0, "stale_rollout_state": [f"{APP} production"]}
    assert rollout.channel["auto_pause_last_triggered_at"] is None


def test_an_app_that_went_meanwhile_is_left_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = Rollout(world)
    rollout.fails(50)

    def delete() -> None:
        with world.registry.write(SYSTEM) as session:
            apps.delete(session, SYSTEM, APP)

    monkeypatch.setattr(rollouts, "reported", changing(delete))
    assert rollout.watch().detail["stale_rollout_state"] == [f"{APP} production"]


def changing(change: Callable[[], None]) -> Callable[..., Reported]:
    """`reported`, with somebody who changes something right after it."""

    def ask(*arguments: Any) -> Reported:
        counted = reported(*arguments)
        change()
        return counted

    return ask


def test_two_nodes_that_watch_at_once_stop_a_rollout_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = Rollout(world, auto_pause_action="notify")
    rollout.fails(50)
    monkeypatch.setattr(rollouts, "reported", changing(lambda: _watch_as_usual(rollout, monkeypatch)))
    with capture_logs() as logs:
        outer = rollout.watch()
    assert outer.detail["stale_rollout_state"] == [f"{APP} production"]
    assert len([line for line in logs if line["event"] == NOTIFICATION]) == 1


def _watch_as_usual(rollout: Rollout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "reported", reported)
    assert rollout.watch().detail["triggered"] == 1


def test_more_rollouts_than_one_page_are_all_watched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rollouts, "PAGE_SIZE", 1)
    rollout = Rollout(world)
    second = Rollout(world, app_id=world.add_app("com.demo.second"))
    second.fails(50)
    done = rollout.watch()
    assert done.detail == {"checked": 2, "triggered": 1, "channels": ["com.demo.second production"]}


def counted(rollout: Rollout) -> tuple[int, int]:
    since = epoch_ms(rollout.clock() - timedelta(minutes=60))
    asked = RolloutQuestion(APP, ROLLOUT, rollout.channel["id"], since)
    told = reported(rollout.world.telemetry, asked)
    return told.installs, told.failures


SIGNALS = (
    "app_crash",
    "app_crash_native",
    "app_anr",
    "app_launch_timeout",
    "app_initialization_failure",
    "webview_render_process_gone",
    "webview_content_process_terminated",
    "webview_unclean_restart",
)


@pytest.mark.parametrize("signal", SIGNALS)
def test_a_device_that_breaks_down_after_the_install_turns_it_into_a_failure(world: World, signal: str) -> None:
    rollout = Rollout(world)
    broken, *_ = rollout.installs(3)
    for _ in range(5):
        rollout.report(broken, signal)
    assert counted(rollout) == (2, 1)


def test_every_reported_failure_counts_also_several_of_one_device(world: World) -> None:
    rollout = Rollout(world)
    (device,) = rollout.fails(1)
    rollout.report(device, "download_manifest_file_fail", usage="fail", version_name=f"{ROLLOUT}:main.js")
    assert counted(rollout) == (0, 2)


def test_a_device_whose_failure_is_in_the_log_does_not_count_again_for_breaking_down(world: World) -> None:
    rollout = Rollout(world)
    (device,) = rollout.installs(1)
    rollout.report(device, "app_crash")
    rollout.report(device, "update_fail", usage="fail")
    assert counted(rollout) == (1, 1)


def test_an_install_before_the_window_is_no_attempt_but_the_break_down_in_it_is_a_failure(world: World) -> None:
    rollout = Rollout(world)
    (device,) = rollout.devices(1)
    rollout.report(device, "set", usage="install", ago=timedelta(days=2))
    rollout.report(device, "app_crash")
    assert counted(rollout) == (0, 1)


@pytest.mark.parametrize(
    "columns",
    [
        {"action": "app_memory_warning"},
        {"action": "webview_javascript_error"},
        {"version_name": STABLE},
        {"app_id": "com.demo.other"},
        {"ago": timedelta(minutes=61)},
    ],
)
def test_what_is_no_break_down_of_this_rollout_counts_nothing(world: World, columns: dict[str, Any]) -> None:
    rollout = Rollout(world)
    (device,) = rollout.installs(1)
    rollout.report(device, **{"action": "app_crash", **columns})
    assert counted(rollout) == (1, 0)


def test_a_break_down_before_the_install_counts_nothing(world: World) -> None:
    rollout = Rollout(world)
    (device,) = rollout.devices(1)
    rollout.report(device, "app_crash", ago=timedelta(minutes=5))
    rollout.report(device, "set", usage="install")
    assert counted(rollout) == (1, 0)


def test_a_break_down_without_an_install_on_the_channel_counts_nothing(world: World) -> None:
    rollout = Rollout(world)
    (never, elsewhere) = rollout.devices(2)
    rollout.report(never, "app_crash")
    rollout.report(elsewhere, "set", usage="install", channel_id=999_999)
    rollout.report(elsewhere, "app_crash")
    assert counted(rollout) == (0, 0)


def test_crashes_alone_can_stop_a_rollout(world: World) -> None:
    rollout = Rollout(world)
    for device in rollout.installs(100)[:10]:
        rollout.report(device, "app_crash_native")
    rollout.watch()
    assert rollout.channel["rollout_pause_reason"] == REASON.format(action="pause")
