"""What a request wants of a channel, and the check of its numbers: pure functions from there to columns.

The range checks come in the contract's order, after the rights, so they are here and not in the types of the wire
(contract: public 14.2).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypedDict

from capstan.errors import Problem

NO_BUNDLE = frozenset({None, "", "builtin", "unknown"})
"""What `version` may be for "the bundle inside the native app"."""

ROLLED_BACK: dict[str, Any] = {
    "rollout_version": None,
    "rollout_enabled": False,
    "rollout_percentage_bps": 0,
    "rollout_paused_at": None,
    "rollout_pause_reason": None,
}
"""The columns of a channel whose rollout was taken back."""


class Asked(TypedDict, total=False):
    """What is to be changed; what is left out stays. Members of type `object` are checked by `checked_columns`."""

    version: str | None
    """The name of a bundle, or one of `NO_BUNDLE`."""
    public: bool
    ios: bool
    android: bool
    electron: bool
    allow_device_self_set: bool
    allow_emulator: bool
    allow_device: bool
    allow_dev: bool
    allow_prod: bool
    disable_auto_update: str
    disable_auto_update_under_native: bool
    rollout_version: str | int | None
    """The name or the id of a bundle; None takes the rollout bundle away."""
    rollout_percentage: object
    rollout_percentage_bps: object
    rollout_enabled: bool
    rollout_paused: bool
    rollout_paused_at: datetime | None
    rollout_pause_reason: str | None
    rollout_cache_ttl_seconds: object
    rollback: bool
    promote_to_stable: bool
    auto_pause_enabled: bool
    auto_pause_window_minutes: object
    auto_pause_failure_rate_bps: object
    auto_pause_confidence: object
    auto_pause_min_attempts: object
    auto_pause_min_failures: object
    auto_pause_action: object
    auto_pause_cooldown_minutes: object


@dataclass(frozen=True, slots=True)
class IntegerRange:
    """`wire_name` is how a refusal calls the column. None is only a value where it means "no limit"."""

    wire_name: str
    lowest: int
    highest: int
    nullable: bool = False


_LARGEST = 2**31 - 1
INTEGERS = {
    "rollout_percentage_bps": IntegerRange("rolloutPercentageBps", 0, 10_000),
    "rollout_cache_ttl_seconds": IntegerRange("rolloutCacheTtlSeconds", 60, 31_536_000),
    "auto_pause_window_minutes": IntegerRange("autoPauseWindowMinutes", 1, 10_080),
    "auto_pause_failure_rate_bps": IntegerRange("autoPauseFailureRateBps", 0, 10_000, nullable=True),
    "auto_pause_min_attempts": IntegerRange("autoPauseMinAttempts", 0, _LARGEST, nullable=True),
    "auto_pause_min_failures": IntegerRange("autoPauseMinFailures", 0, _LARGEST, nullable=True),
    "auto_pause_cooldown_minutes": IntegerRange("autoPauseCooldownMinutes", 0, 10_080),
}
AUTO_PAUSE_ACTIONS = ("pause", "rollback", "notify")

_AS_THEY_ARE = (
    "public",
    "ios",
    "android",
    "electron",
    "allow_device_self_set",
    "allow_emulator",
    "allow_device",
    "allow_dev",
    "allow_prod",
    "disable_auto_update",
    "disable_auto_update_under_native",
    "rollout_enabled",
    "auto_pause_enabled",
)


def changes_rollout_target(asked: Asked) -> bool:
    """Whether the rollout bundle is to be another, or none."""
    return "rollout_version" in asked or bool(asked.get("rollback")) or bool(asked.get("promote_to_stable"))


def checked_columns(asked: Asked, now: datetime) -> dict[str, Any]:
    """The columns that are to be set, bundles aside.

    Raises Problem `invalid_rollout_percentage`, `invalid_rollout_config`, `invalid_auto_pause_confidence` or
    `invalid_auto_pause_action`; `invalid_body` for a moment that no calendar has.
    """
    given: dict[str, Any] = {**asked}
    columns = {name: given[name] for name in _AS_THEY_ARE if name in given}
    if "rollout_percentage" in given and "rollout_percentage_bps" not in given:
        columns["rollout_percentage_bps"] = _basis_points(given["rollout_percentage"])
    for name, allowed in INTEGERS.items():
        if name in given:
            columns[name] = _integer(given[name], allowed)
    if "auto_pause_confidence" in given:
        columns["auto_pause_confidence"] = _confidence(given["auto_pause_confidence"])
    if "auto_pause_action" in given:
        columns["auto_pause_action"] = _action(given["auto_pause_action"])
    return {**columns, **_without_electron(asked), **_pause(asked, now)}


def _basis_points(percentage: object) -> int:
    if isinstance(percentage, bool) or not isinstance(percentage, int | float) or not 0 <= percentage <= 100:
        raise Problem(
            "invalid_rollout_percentage",
            "rolloutPercentage must be a number between 0 and 100",
            more={"rolloutPercentage": percentage},
        )
    return math.floor(percentage * 100 + 0.5)


def _integer(value: object, allowed: IntegerRange) -> int | None:
    if value is None and allowed.nullable:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not allowed.lowest <= value <= allowed.highest:
        raise Problem(
            "invalid_rollout_config",
            f"{allowed.wire_name} must be an integer between {allowed.lowest} and {allowed.highest}",
            more={"field": allowed.wire_name, "value": value, "min": allowed.lowest, "max": allowed.highest},
        )
    return value


def _confidence(value: object) -> float:
    # Five decimals are stored, and rounding must not make certainty of a high confidence.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < round(value, 5) < 1:
        raise Problem(
            "invalid_auto_pause_confidence",
            "autoPauseConfidence must be a number between 0 and 1",
            more={"autoPauseConfidence": value},
        )
    return float(round(value, 5))


def _action(value: object) -> str:
    if not isinstance(value, str) or value not in AUTO_PAUSE_ACTIONS:
        raise Problem(
            "invalid_auto_pause_action",
            f"autoPauseAction must be one of {', '.join(AUTO_PAUSE_ACTIONS)}",
            more={"autoPauseAction": value},
        )
    return value


def _without_electron(asked: Asked) -> dict[str, Any]:
    """A channel made public for one mobile platform by somebody who knows only these two is not meant for desktops."""
    one_sided = asked.get("ios") is not asked.get("android")
    return {"electron": False} if asked.get("public") and "electron" not in asked and one_sided else {}


def _pause(asked: Asked, now: datetime) -> dict[str, Any]:
    columns: dict[str, Any] = {}
    moment = asked.get("rollout_paused_at")
    if "rollout_paused_at" in asked:
        columns["rollout_paused_at"] = moment and _aware(moment)
    if "rollout_pause_reason" in asked:
        columns["rollout_pause_reason"] = asked["rollout_pause_reason"]
    if asked.get("rollout_paused") is True and moment is None:
        columns["rollout_paused_at"] = now
    if asked.get("rollout_paused") is False:
        columns |= {"rollout_paused_at": None, "rollout_pause_reason": None}
    return columns


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Problem("invalid_body", "rolloutPausedAt lies outside the calendar") from None
