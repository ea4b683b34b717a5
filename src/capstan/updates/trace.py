"""Why a device got its answer, in words: the rules that were asked, with the values that they compared.

The decision already says which rule ended the check, so all rules before it have passed: nothing is decided here, and
nothing is computed for a device. A rule that has nothing to compare (another policy, an unencrypted bundle) is silent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec import Struct

from capstan.updates import rollout
from capstan.updates.choice import override_channel
from capstan.updates.rules import REVERT_TO_BUILTIN, Rule
from capstan.updates.snapshot import BUILTIN, Bundle, Channel

if TYPE_CHECKING:
    from capstan.updates.decision import Decision


class Step(Struct, frozen=True):
    """One rule that was asked. `fired`: it ended the check; `words`: one sentence for a person."""

    rule: Rule
    fired: bool
    words: str


def explain(decision: Decision) -> tuple[Step, ...]:
    """The rules up to the one that fired, in order."""
    steps = []
    for rule in Rule:
        fired = rule is decision.rule
        words = _WORDS[rule](decision, fired)
        if words:
            steps.append(Step(rule, fired, words))
        if fired:
            break
    return tuple(steps)


def _chosen(decision: Decision) -> tuple[Channel, Bundle]:
    assert decision.channel is not None, "asked before it was chosen"
    assert decision.bundle is not None, "asked before it was chosen"
    return decision.channel, decision.bundle


def _native_version(decision: Decision, fired: bool) -> str:
    build = decision.check.version_build
    return f"The native version {build} has a number that is too large." if fired else f"The native version is {build}."


def _plugin(decision: Decision, fired: bool) -> str:
    plugin = f"The plugin {decision.check.plugin_version}"
    if fired:
        return f"{plugin} is of major 4, which is no longer served."
    return f"{plugin} is served, but deprecated." if decision.check.plugin.deprecated else f"{plugin} is served."


def _channel(decision: Decision, fired: bool) -> str:
    check = decision.check
    if fired:
        if check.default_channel:
            return (
                f'No override holds for this device, and no live channel "{check.default_channel}" lets a device of '
                f"platform {check.platform} choose it."
            )
        return f"No override holds for this device, and the app has no live public channel for {check.platform}."
    channel, _bundle = _chosen(decision)
    if override_channel(decision.snapshot, decision.state, check) is not None:
        return f'The channel is "{channel.name}", set for this device.'
    if check.default_channel:
        return f'The channel is "{channel.name}", which the device names as its default channel.'
    return f'The channel is "{channel.name}", the public one for {check.platform}.'


def _target(decision: Decision, _fired: bool) -> str:
    channel, bundle = _chosen(decision)
    if decision.state.pinned is not None:
        return f"The target is {bundle.name}, pinned for this device."
    if decision.rollout is None:
        return f"The target is {bundle.name}, the channel's bundle."
    offered = "the rollout's bundle" if decision.rollout.offered else "the channel's stable bundle"
    return f"The target is {bundle.name}, {offered}: {_rollout_words(decision, channel)}."


def _rollout_words(decision: Decision, channel: Channel) -> str:
    assert channel.rollout is not None, "no rollout was asked"
    assert decision.rollout is not None, "no rollout was asked"
    share = f"{channel.rollout_percentage_bps / 100:g} %"
    place = rollout.bucket(channel.rollout_id, decision.check.device_id) / 100
    return {
        rollout.DISABLED: f"the rollout of {channel.rollout.name} is off",
        rollout.PERCENTAGE_ZERO: f"the rollout of {channel.rollout.name} is at 0 %",
        rollout.ALREADY_ON_ROLLOUT: "the device runs it already",
        rollout.PAUSED: f"the rollout of {channel.rollout.name} is paused",
        rollout.SELECTED: f"the device's place {place:.2f} % is below the {share} of the rollout",
        rollout.NOT_SELECTED: f"the device's place {place:.2f} % is not below the {share} of the rollout",
    }[decision.rollout]


def _content(decision: Decision, fired: bool) -> str:
    _channel, bundle = _chosen(decision)
    if fired:
        return f"{bundle.name} has no zip, no external URL and no delta files."
    parts = (
        ("an external URL", bundle.external_url),
        ("a zip", bundle.r2_path),
        ("delta files", bundle.has_manifest),
    )
    has = " and ".join(name for name, there in parts if there)
    return f"{bundle.name} has {has}." if has else ""


def _key(decision: Decision, fired: bool) -> str:
    _channel, bundle = _chosen(decision)
    if not bundle.key_id:
        return ""
    device_key = decision.check.key_id
    if fired:
        return f"{bundle.name} is encrypted for key {bundle.key_id}, the device has key {device_key}."
    if not device_key:
        return f"{bundle.name} is encrypted for key {bundle.key_id}; the device does not say which key it has."
    if device_key == bundle.key_id:
        return f"The device has the key {bundle.key_id} of {bundle.name}."
    return f"The plugin {decision.check.plugin_version} sends key ids that cannot be compared with {bundle.key_id}."


def _up_to_date(decision: Decision, fired: bool) -> str:
    _channel, bundle = _chosen(decision)
    runs = decision.check.version_name
    return f"The device already runs {runs}." if fired else f"The device runs {runs}, not {bundle.name}."


def _failed_on_device(decision: Decision, fired: bool) -> str:
    _channel, bundle = _chosen(decision)
    if fired:
        return f"{bundle.name} failed on this device and is not offered to it again."
    return f"{bundle.name} has not failed on this device." if decision.state.failed_bundles else ""


def _platform(decision: Decision, fired: bool) -> str:
    channel, _bundle = _chosen(decision)
    return f'The channel "{channel.name}" is {"off" if fired else "on"} for {decision.check.platform}.'


def _unreadable(decision: Decision, subject: str) -> str | None:
    """The sentence of a comparison that ended the check because `subject` is no version."""
    return f"{subject} does not follow semver, so it cannot be compared." if decision.code == "semver_error" else None


def _policy_major(decision: Decision, fired: bool) -> str:
    channel, bundle = _chosen(decision)
    if channel.disable_auto_update != "major" or bundle.is_internal:
        return ""
    native = decision.check.native
    words = f"{bundle.name} is {'' if fired else 'not '}above the native major {native.major if native else '?'}."
    return f"Policy major: {(fired and _unreadable(decision, bundle.name)) or words}"


def _same_part(decision: Decision, fired: bool, policy: str, parts: str) -> str:
    channel, bundle = _chosen(decision)
    if channel.disable_auto_update != policy or bundle.is_internal:
        return ""
    build = decision.check.version_build
    words = f"{bundle.name} and the native version {build} {'differ' if fired else 'agree'} in {parts}."
    return f"Policy {policy}: {(fired and _unreadable(decision, bundle.name)) or words}"


def _policy_minor(decision: Decision, fired: bool) -> str:
    return _same_part(decision, fired, "minor", "major or minor" if fired else "major and minor")


def _policy_patch(decision: Decision, fired: bool) -> str:
    return _same_part(decision, fired, "patch", "major, minor or patch" if fired else "major, minor and patch")


def _min_version_set(decision: Decision, fired: bool) -> str:
    channel, bundle = _chosen(decision)
    if channel.disable_auto_update != "version_number" or bundle.is_internal:
        return ""
    if fired:
        return f"Policy version_number: {bundle.name} has no min update version."
    return f"Policy version_number: {bundle.name} has the min update version {bundle.min_update_version}."


def _min_version(decision: Decision, fired: bool) -> str:
    channel, bundle = _chosen(decision)
    if channel.disable_auto_update != "version_number" or bundle.is_internal:
        return ""
    least = f"the min update version {bundle.min_update_version}"
    words = f"the native version {decision.check.version_build} is {'below' if fired else 'not below'} {least}."
    return f"Policy version_number: {(fired and _unreadable(decision, least)) or words}"


def _under_native(decision: Decision, fired: bool) -> str:
    channel, bundle = _chosen(decision)
    if not channel.disable_auto_update_under_native or bundle.is_internal:
        return ""
    words = f"{bundle.name} is {'' if fired else 'not '}below the native version {decision.check.version_build}."
    return f"Never below native: {(fired and _unreadable(decision, bundle.name)) or words}"


def _takes(decision: Decision, fired: bool, what: str) -> str:
    channel, _bundle = _chosen(decision)
    return f'The channel "{channel.name}" {"does not take" if fired else "takes"} {what}.'


def _prod_build(decision: Decision, fired: bool) -> str:
    return _takes(decision, fired, "production builds") if decision.check.is_prod else ""


def _dev_build(decision: Decision, fired: bool) -> str:
    return "" if decision.check.is_prod else _takes(decision, fired, "development builds")


def _physical_device(decision: Decision, fired: bool) -> str:
    return "" if decision.check.is_emulator else _takes(decision, fired, "physical devices")


def _emulator(decision: Decision, fired: bool) -> str:
    return _takes(decision, fired, "emulators") if decision.check.is_emulator else ""


def _builtin(decision: Decision, fired: bool) -> str:
    if not fired:
        return ""
    if decision.outcome is REVERT_TO_BUILTIN:
        return f"The channel is set to {BUILTIN.name}: the device is told to go back to its native bundle."
    if decision.check.plugin.reverts_to_builtin:
        return f"The channel is set to {BUILTIN.name}, and the device runs its native bundle."
    return (
        f"The channel is set to {BUILTIN.name}, but the plugin {decision.check.plugin_version} is too old to go back."
    )


def _url(decision: Decision, fired: bool) -> str:
    _channel, bundle = _chosen(decision)
    return f"The external URL of {bundle.name} is not an http or https URL." if fired else ""


def _update(decision: Decision, _fired: bool) -> str:
    _channel, bundle = _chosen(decision)
    return f"{bundle.name} is offered."


_WORDS: dict[Rule, Callable[[Decision, bool], str]] = {
    Rule.NATIVE_VERSION: _native_version,
    Rule.PLUGIN: _plugin,
    Rule.CHANNEL: _channel,
    Rule.TARGET: _target,
    Rule.CONTENT: _content,
    Rule.KEY: _key,
    Rule.UP_TO_DATE: _up_to_date,
    Rule.FAILED_ON_DEVICE: _failed_on_device,
    Rule.PLATFORM: _platform,
    Rule.POLICY_MAJOR: _policy_major,
    Rule.POLICY_MINOR: _policy_minor,
    Rule.POLICY_PATCH: _policy_patch,
    Rule.MIN_VERSION_SET: _min_version_set,
    Rule.MIN_VERSION: _min_version,
    Rule.UNDER_NATIVE: _under_native,
    Rule.PROD_BUILD: _prod_build,
    Rule.DEV_BUILD: _dev_build,
    Rule.PHYSICAL_DEVICE: _physical_device,
    Rule.EMULATOR: _emulator,
    Rule.BUILTIN: _builtin,
    Rule.URL: _url,
    Rule.UPDATE: _update,
}
