"""Which share of a channel's devices is offered its rollout bundle, without remembering anything.

A device's place is a salted hash of the rollout's id and the device's id, so it is the same on every node and after
every restart. Raising the percentage only adds devices, lowering it only removes some; a device that already runs the
rollout bundle keeps it (contract: device 6.2), except at 0 %, where everyone goes back (6.3).
"""

from __future__ import annotations

from hashlib import blake2b

from msgspec import Struct

from capstan.updates.check import UpdateCheck
from capstan.updates.snapshot import Bundle, Channel

BUCKETS = 10_000
"""A bucket is one basis point: 10,000 of them are all devices."""


class RolloutChoice(Struct, frozen=True, gc=False):
    """Whether the rollout bundle is offered, and the one word that says why."""

    reason: str
    offered: bool


DISABLED = RolloutChoice("disabled", offered=False)
PERCENTAGE_ZERO = RolloutChoice("percentage_zero", offered=False)
ALREADY_ON_ROLLOUT = RolloutChoice("already_on_rollout", offered=True)
PAUSED = RolloutChoice("paused", offered=False)
SELECTED = RolloutChoice("selected", offered=True)
NOT_SELECTED = RolloutChoice("not_selected", offered=False)


def bucket(rollout_id: str, device_id: str) -> int:
    """The place, 0 to 9999, of a device (lower-case id) in a rollout."""
    digest = blake2b(f"{rollout_id}\n{device_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % BUCKETS


def choose_rollout(channel: Channel, target: Bundle, check: UpdateCheck) -> RolloutChoice:
    """Whether the device is offered `target`, the live rollout bundle of the channel."""
    if not channel.rollout_enabled:
        return DISABLED
    if channel.rollout_percentage_bps <= 0:
        return PERCENTAGE_ZERO
    if check.version_name == target.name:
        return ALREADY_ON_ROLLOUT
    if channel.rollout_paused:
        return PAUSED
    return SELECTED if bucket(channel.rollout_id, check.device_id) < channel.rollout_percentage_bps else NOT_SELECTED
