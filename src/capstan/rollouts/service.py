"""Auto-pause: watches running rollouts and pauses, takes back or reports those that fail (contract: device 6.4).

It is asked every 20 seconds, where the original asks every five minutes, so that a bad bundle is stopped within a
minute of the moment at which its failures reach the threshold. Only channels that can be stopped are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Engine, RowMapping

from capstan.access.principal import SystemPrincipal
from capstan.channels import store as channels_store
from capstan.channels import writes
from capstan.channels.asked import ROLLED_BACK
from capstan.db.session import Registry
from capstan.jobs.job import Done, Job, Run
from capstan.jobs.schedule import Schedule
from capstan.rollouts import store
from capstan.rollouts.auto_pause import Terms, Verdict, evaluate, precluded
from capstan.telemetry.rollout_queries import RolloutQuestion, reported

log = structlog.get_logger(__name__)

EVERY = timedelta(seconds=20)
PAGE_SIZE = 1000
AUTO_PAUSE = SystemPrincipal("auto-pause")
NOTIFICATION = "Rollout Auto-Pause Notification"


@dataclass(slots=True)
class Watched:
    """What one pass has seen. `stopped` and `stale` name channels, as `app channel`."""

    checked: int = 0
    triggered: list[str] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def auto_pause_job(registry: Registry, telemetry: Engine) -> Job:
    """The periodic job."""
    return Job("auto_pause", Schedule(EVERY), lambda run: watch_rollouts(registry, telemetry, run))


def watch_rollouts(registry: Registry, telemetry: Engine, run: Run) -> Done:
    """Look at every rollout once, and stop those that fail too often."""
    seen = Watched()
    after_id = 0
    while True:
        with registry.read() as session:
            page = store.watched(session, after_id, PAGE_SIZE)
        for channel in page:
            _watch(registry, telemetry, channel, run.now, seen)
        _note_checked(registry, page, run.now)
        if len(page) < PAGE_SIZE or not run.goes_on():
            return _told(seen)
        after_id = page[-1]["id"]


def terms_of(channel: RowMapping) -> Terms:
    """What a channel's row says about auto-pause."""
    return Terms(
        enabled=channel["auto_pause_enabled"],
        threshold_bps=channel["auto_pause_failure_rate_bps"],
        confidence=channel["auto_pause_confidence"],
        min_attempts=channel["auto_pause_min_attempts"],
        min_failures=channel["auto_pause_min_failures"],
        cooldown=timedelta(minutes=channel["auto_pause_cooldown_minutes"]),
        last_triggered_at=channel["auto_pause_last_triggered_at"],
    )


def pause_reason(channel: RowMapping, bundle: str, verdict: Verdict) -> str:
    """The sentence that operators read; its words are the contract's."""
    return (
        f"Auto-pause {channel['auto_pause_action']} for {channel['name']} rollout {bundle}: "
        f"fail {verdict.rate_bps}bps, confidence lower bound {verdict.lower_bound_bps}bps, "
        f"threshold {channel['auto_pause_failure_rate_bps']}bps, attempts {verdict.attempts}."
    )


def _watch(registry: Registry, telemetry: Engine, channel: RowMapping, now: datetime, seen: Watched) -> None:
    seen.checked += 1
    if precluded(terms_of(channel), now) is not None:
        return
    window = timedelta(minutes=channel["auto_pause_window_minutes"])
    since_ms = int((now - window).timestamp() * 1000)
    asked = RolloutQuestion(channel["app_id"], channel["rollout_version_name"], channel["id"], since_ms)
    counted = reported(telemetry, asked)
    if not evaluate(terms_of(channel), counted.installs, counted.failures, now).triggered:
        return
    name = f"{channel['app_id']} {channel['name']}"
    if _stop(registry, channel, counted.installs, counted.failures, now):
        seen.triggered.append(name)
    else:
        seen.stale.append(name)


def _stop(registry: Registry, seen: RowMapping, installs: int, failures: int, now: datetime) -> bool:
    """Do what the channel asks for; False (`stale_rollout_state`) if its rollout is not what was looked at any more."""
    with registry.write(AUTO_PAUSE) as session:
        session.lock_app(seen["app_id"])
        channel = channels_store.by_id(session, seen["app_id"], seen["id"])
        if channel is None or not _is_same_rollout(channel, seen):
            return False
        verdict = evaluate(terms_of(channel), installs, failures, now)
        if not verdict.triggered:
            return False
        reason = pause_reason(channel, seen["rollout_version_name"], verdict)
        writes.change(session, channel, _columns(channel["auto_pause_action"], reason, now))
    log.warning(NOTIFICATION, app_id=seen["app_id"], channel=seen["name"], reason=reason)
    return True


def _is_same_rollout(channel: RowMapping, seen: RowMapping) -> bool:
    """Still the rollout that was looked at, and still running."""
    return (
        channel["rollout_id"] == seen["rollout_id"]
        and channel["rollout_version"] == seen["rollout_version"]
        and channel["rollout_enabled"]
        and channel["rollout_percentage_bps"] > 0
        and channel["rollout_paused_at"] is None
    )


def _columns(action: str, reason: str, now: datetime) -> dict[str, Any]:
    told = {"rollout_pause_reason": reason, "auto_pause_last_triggered_at": now}
    match action:
        case "pause":
            return {**told, "rollout_paused_at": now}
        case "rollback":
            return {**ROLLED_BACK, **told}
        case _:
            return told


def _note_checked(registry: Registry, page: Sequence[RowMapping], now: datetime) -> None:
    if page:
        with registry.write(AUTO_PAUSE) as session:
            store.note_checked(session, [channel["id"] for channel in page], now)


def _told(seen: Watched) -> Done:
    detail: dict[str, int | str | list[str]] = {"checked": seen.checked, "triggered": len(seen.triggered)}
    if seen.triggered:
        detail["channels"] = seen.triggered
    if seen.stale:
        detail["stale_rollout_state"] = seen.stale
    return Done(detail, notable=bool(seen.triggered or seen.stale))
