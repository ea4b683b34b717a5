"""What a device is answered: one pure function of the app, the device's state and the question.

The order of the rules is the contract's (device 1.4, steps 10 to 35) and is part of the wire. Gates that come before
(limits, unknown apps, plans) are the caller's; `plan_allows` is the plan's rule.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from capstan.updates import rules
from capstan.updates.check import UpdateCheck
from capstan.updates.choice import choose_bundle, choose_channel
from capstan.updates.rollout import RolloutChoice
from capstan.updates.rules import Extras, Outcome, Rule
from capstan.updates.semver_policy import BUILTIN_NAME, Semver, native_version
from capstan.updates.snapshot import AppSnapshot, Bundle, Channel, DeviceState, OrgPlan
from capstan.updates.trace import Step, explain

Need: TypeAlias = Literal["mau", "bandwidth", "storage"]


def plan_allows(plan: OrgPlan, needs: Collection[Need], today: date) -> bool:
    """Whether an organization's plan serves what is needed (contract: device 1.5).

    Update checks and events need `mau` and `bandwidth`, channel_self `mau`, uploads all three.
    """
    return (
        plan.customer_id is None
        or plan.has_usage_credits
        or (plan.trial_ends is not None and plan.trial_ends > today)
        or (plan.status == "succeeded" and not any(getattr(plan, f"{need}_exceeded") for need in needs))
    )


class Decision(Struct, frozen=True, gc=False):
    """The answer to one check, with everything that it came from.

    `channel` and `bundle` are None if the check ended before they were chosen; the bundle of a channel set to builtin
    is `snapshot.BUILTIN`. `rollout` is None where no rollout was asked. The HTTP status is always 200.
    """

    outcome: Outcome
    snapshot: AppSnapshot
    state: DeviceState
    check: UpdateCheck
    channel: Channel | None = None
    bundle: Bundle | None = None
    rollout: RolloutChoice | None = None

    @property
    def rule(self) -> Rule:
        """The rule that ended the check."""
        return self.outcome.rule

    @property
    def code(self) -> str | None:
        """The `error` of the answer, None for an update and for the order to go back to builtin."""
        return self.outcome.code

    @property
    def is_update(self) -> bool:
        return self.outcome is rules.UPDATE

    @property
    def target_name(self) -> str:
        """The name of the chosen bundle; empty if none was chosen."""
        return self.bundle.name if self.bundle is not None else ""

    @property
    def message(self) -> str:
        outcome = self.outcome
        if not outcome.template:
            return outcome.message
        return outcome.message.format(check=self.check, channel=self.channel, bundle=self.bundle)

    @property
    def extras(self) -> dict[str, Any]:
        """The facts that stand between `message` and `kind`, in their order."""
        match self.outcome.extras:
            case Extras.RUNNING:
                return {"version": self.target_name, "old": self.check.version_name}
            case Extras.NATIVE_MAJOR:
                return {"major": True, "version": self.target_name, "old": self.check.version_build}
            case Extras.NATIVE:
                return {"version": self.target_name, "old": self.check.version_build}
            case Extras.BUILTIN:
                return {"version": BUILTIN_NAME}
            case Extras.KEYS:
                return {"deviceKeyId": self.check.key_id, "bundleKeyId": self.bundle.key_id if self.bundle else None}
            case _:
                return {}

    @property
    def log(self) -> tuple[str, str] | None:
        """The action and version name to append to the event log."""
        if self.outcome.log is None:
            return None
        return self.outcome.log, (self.target_name if self.outcome.logs_target else self.check.version_name)

    @property
    def device_version(self) -> str | None:
        """The `version_name` for the device's row: the target if it is offered, else what runs; None if not written."""
        if not self.outcome.device:
            return None
        return self.target_name if self.is_update else self.check.version_name

    @property
    def counts_get(self) -> bool:
        """Whether a `get` of the target is counted."""
        return self.is_update

    @property
    def counts_mau(self) -> bool:
        return self.outcome.mau

    @property
    def notices(self) -> tuple[str, ...]:
        """The weekly notifications to ask for; a deprecated plugin (step 13) is noticed once it is served."""
        notice = self.outcome.notice
        if self.outcome.mau and self.check.plugin.deprecated:
            return (rules.PLUGIN_ISSUE,) if notice is None else (rules.PLUGIN_ISSUE, notice)
        return () if notice is None else (notice,)

    @property
    def trace(self) -> tuple[Step, ...]:
        """The rules that were asked, in order, in words; the last one is the one that fired."""
        return explain(self)


def decide(snapshot: AppSnapshot, state: DeviceState, check: UpdateCheck) -> Decision:
    """Answer one check of a served app; `state` is `NO_STATE` for a device without any."""
    native = check.native
    if native is None:
        return Decision(rules.NATIVE_VERSION_UNREADABLE, snapshot, state, check)
    if check.plugin.unsupported:
        return Decision(rules.PLUGIN_UNSUPPORTED, snapshot, state, check)
    channel = choose_channel(snapshot, state, check)
    if channel is None:
        return Decision(rules.NO_CHANNEL, snapshot, state, check)
    bundle, rollout = choose_bundle(channel, state, check)
    outcome = (
        _target_refusal(bundle, state, check)
        or _channel_refusal(channel, bundle, check, native)
        or _delivery(bundle, check)
    )
    return Decision(outcome, snapshot, state, check, channel, bundle, rollout)


def _target_refusal(bundle: Bundle, state: DeviceState, check: UpdateCheck) -> Outcome | None:
    """Steps 17 to 19: what depends on the bundle and the device alone."""
    if not bundle.has_content:
        return rules.NO_BUNDLE
    if bundle.key_id and check.key_id and bundle.key_id != check.key_id and check.plugin.checks_key:
        return rules.KEY_MISMATCH
    if check.version_name == bundle.name:
        return rules.ON_TARGET
    if bundle.id in state.failed_bundles:
        return rules.FAILED_ON_DEVICE
    return None


def _channel_refusal(channel: Channel, bundle: Bundle, check: UpdateCheck, native: Semver) -> Outcome | None:
    """Steps 20 to 31: what the channel forbids."""
    if check.platform not in channel.platforms:
        return rules.PLATFORM_OFF[check.platform]
    if not bundle.is_internal:
        refused = _policy_refusal(channel, bundle, native)
        if refused is None and channel.disable_auto_update_under_native:
            refused = _under_native_refusal(bundle, native)
        if refused is not None:
            return refused
    return None if channel.takes_every_build else _build_refusal(channel, check)


def _policy_refusal(channel: Channel, bundle: Bundle, native: Semver) -> Outcome | None:
    """Steps 21 and 23 to 26. Only the native version is compared, never the bundle that runs."""
    target = bundle.semver
    match channel.disable_auto_update:
        case "major":
            if target is None:
                return rules.UNREADABLE_NAME[Rule.POLICY_MAJOR]
            return rules.MAJOR_BLOCKED if target.major > native.major else None
        case "minor":
            if target is None:
                return rules.UNREADABLE_NAME[Rule.POLICY_MINOR]
            return None if target.order[:2] == native.order[:2] else rules.MINOR_BLOCKED
        case "patch":
            if target is None:
                return rules.UNREADABLE_NAME[Rule.POLICY_PATCH]
            return None if target.order[:3] == native.order[:3] else rules.PATCH_BLOCKED
        case "version_number":
            return _min_version_refusal(bundle, native)
        case _:
            return None


def _min_version_refusal(bundle: Bundle, native: Semver) -> Outcome | None:
    if not bundle.min_update_version:
        return rules.NO_MIN_VERSION
    if bundle.min_semver is None:
        return rules.UNREADABLE_MIN_VERSION
    return rules.BELOW_MIN_VERSION if bundle.min_semver.order > native.order else None


def _under_native_refusal(bundle: Bundle, native: Semver) -> Outcome | None:
    if bundle.semver is None:
        return rules.UNREADABLE_NAME[Rule.UNDER_NATIVE]
    return rules.UNDER_NATIVE if bundle.semver.order < native.order else None


def _build_refusal(channel: Channel, check: UpdateCheck) -> Outcome | None:
    """Steps 28 to 31."""
    if check.is_prod and not channel.allow_prod:
        return rules.PROD_BUILD_OFF
    if not check.is_prod and not channel.allow_dev:
        return rules.DEV_BUILD_OFF
    if not check.is_emulator and not channel.allow_device:
        return rules.DEVICE_OFF
    if check.is_emulator and not channel.allow_emulator:
        return rules.EMULATOR_OFF
    return None


def _delivery(bundle: Bundle, check: UpdateCheck) -> Outcome:
    """Steps 32 to 35."""
    if bundle.name == BUILTIN_NAME:
        return _builtin_outcome(check)
    return rules.UPDATE if bundle.is_reachable else rules.NO_URL


def _builtin_outcome(check: UpdateCheck) -> Outcome:
    """Order the way back only where it is understood and not yet gone: repeated, it would reload the app each time."""
    if not check.plugin.reverts_to_builtin:
        return rules.PLUGIN_CANNOT_REVERT
    return rules.ALREADY_ON_BUILTIN if is_on_builtin(check) else rules.REVERT_TO_BUILTIN


def is_on_builtin(check: UpdateCheck) -> bool:
    """Whether the device runs the bundle inside its native app, said by word or by version (contract: device 7.2)."""
    if check.version_name == check.version_build:
        return True
    named = native_version(check.version_name)
    return named is not None and named.text == check.version_build
