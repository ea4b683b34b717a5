"""Which channel a device is on, and which bundle of that channel it is offered (contract: device 1.8, 6.2)."""

from __future__ import annotations

from capstan.updates.check import UpdateCheck
from capstan.updates.rollout import RolloutChoice, choose_rollout
from capstan.updates.snapshot import AppSnapshot, Bundle, Channel, DeviceState


def choose_channel(snapshot: AppSnapshot, state: DeviceState, check: UpdateCheck) -> Channel | None:
    """The channel of the device's override if that yields one, else the default channel."""
    return override_channel(snapshot, state, check) or default_channel(snapshot, check)


def override_channel(snapshot: AppSnapshot, state: DeviceState, check: UpdateCheck) -> Channel | None:
    """The channel that was set for this device; its platform, public and self-set flags are not looked at."""
    if state.self_channel_id is not None and check.plugin.legacy_channel_self:
        channel = snapshot.channels_by_id.get(state.self_channel_id)
        # A legacy choice of a channel that is set to builtin does not hold (contract: device 1.8).
        return channel if channel is not None and channel.stable is not None else None
    if state.override_channel_id is None:
        return None
    channel = snapshot.channels_by_id.get(state.override_channel_id)
    return channel if channel is not None and channel.counts else None


def default_channel(snapshot: AppSnapshot, check: UpdateCheck) -> Channel | None:
    """The channel that the device names, if it may; a device that names none gets its platform's public channel."""
    if not check.default_channel:
        return snapshot.public_channels.get(check.platform)
    channel = snapshot.channels_by_name.get(check.default_channel)
    return channel if channel is not None and channel.may_be_default(check.platform) else None


def choose_bundle(channel: Channel, state: DeviceState, check: UpdateCheck) -> tuple[Bundle, RolloutChoice | None]:
    """The bundle to offer (pinned for the device, the rollout's, or the channel's own), and what the rollout said."""
    if state.pinned is not None:
        return state.pinned, None
    target = channel.target
    assert target is not None, "only a channel that counts is chosen"
    if channel.rollout is None:
        return target, None
    choice = choose_rollout(channel, channel.rollout, check)
    return (channel.rollout if choice.offered else target), choice
