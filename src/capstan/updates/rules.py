"""The rules of an update check by name, in their exact order, and every way in which one can end a check.

An `Outcome` is a constant: what the device is told, what is recorded, and whose attention is asked for (contract:
device 1.4). Rules that cannot fire are left out: the empty and `unknown` values that parsing has replaced (steps 10 and
14), and a private channel reached without an override (step 22), which a frozen snapshot never yields.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Struct

Kind: TypeAlias = Literal["up_to_date", "blocked", "failed"]


class Rule(StrEnum):
    """The rules in the order in which they are asked. `TARGET` only chooses and never ends a check."""

    NATIVE_VERSION = "native_version"
    PLUGIN = "plugin"
    CHANNEL = "channel"
    TARGET = "target"
    CONTENT = "content"
    KEY = "key"
    UP_TO_DATE = "up_to_date"
    FAILED_ON_DEVICE = "failed_on_device"
    PLATFORM = "platform"
    POLICY_MAJOR = "policy_major"
    POLICY_MINOR = "policy_minor"
    POLICY_PATCH = "policy_patch"
    MIN_VERSION_SET = "min_version_set"
    MIN_VERSION = "min_version"
    UNDER_NATIVE = "under_native"
    PROD_BUILD = "prod_build"
    DEV_BUILD = "dev_build"
    PHYSICAL_DEVICE = "physical_device"
    EMULATOR = "emulator"
    BUILTIN = "builtin"
    URL = "url"
    UPDATE = "update"


class Extras(StrEnum):
    """Which facts a refusal carries beside its message."""

    NONE = "none"
    KEYS = "keys"
    BUILTIN = "builtin"
    NATIVE = "native"
    NATIVE_MAJOR = "native_major"
    RUNNING = "running"


class Outcome(Struct, frozen=True, gc=False, kw_only=True):
    """One end of a check.

    `code` is None if the device is not refused. `log` is the action for the event log, `logs_target` that it names the
    target and not what the device runs. `device`: the device row is written. `mau`: the device counts as active.
    `template`: the message has `{check…}`, `{channel…}` or `{bundle…}` to fill in.
    """

    rule: Rule
    code: str | None = None
    message: str = ""
    template: bool = False
    kind: Kind = "failed"
    extras: Extras = Extras.NONE
    log: str | None = None
    logs_target: bool = True
    device: bool = True
    mau: bool = True
    notice: str | None = None


UPGRADE_BLOCKED = "device:upgrade_blocked"
DOWNGRADE_BLOCKED = "device:downgrade_blocked"
PLUGIN_ISSUE = "user:plugin_issue"
SEMVER_ISSUE = "user:semver_issue"

UPDATE = Outcome(rule=Rule.UPDATE, log="get")
REVERT_TO_BUILTIN = Outcome(rule=Rule.BUILTIN, device=False)

NATIVE_VERSION_UNREADABLE = Outcome(
    rule=Rule.NATIVE_VERSION,
    code="semver_error",
    message="Native version: {check.version_build} doesn't follow semver convention, please check "
    "https://capgo.app/semver_tester/ to learn more about semver usage in Capgo",
    template=True,
    device=False,
    mau=False,
    notice=SEMVER_ISSUE,
)
PLUGIN_UNSUPPORTED = Outcome(
    rule=Rule.PLUGIN,
    code="unsupported_plugin_version",
    message="Plugin version {check.plugin_version} (v4) is no longer supported. Please upgrade to v5.10.0 or later.",
    template=True,
    log="backend_refusal",
    logs_target=False,
    mau=False,
    notice=PLUGIN_ISSUE,
)
NO_CHANNEL = Outcome(
    rule=Rule.CHANNEL,
    code="no_channel",
    message="no default channel or override",
    log="NoChannelOrOverride",
    logs_target=False,
)
NO_BUNDLE = Outcome(rule=Rule.CONTENT, code="no_bundle", message="Cannot get bundle", log="missingBundle")
KEY_MISMATCH = Outcome(
    rule=Rule.KEY,
    code="key_id_mismatch",
    message="Device encryption key does not match bundle encryption key. The device may have a different public key "
    "than the one used to encrypt this bundle.",
    kind="blocked",
    extras=Extras.KEYS,
    log="keyMismatch",
)
ON_TARGET = Outcome(
    rule=Rule.UP_TO_DATE,
    code="no_new_version_available",
    message="No new version available",
    kind="up_to_date",
    log="noNew",
)
FAILED_ON_DEVICE = Outcome(
    rule=Rule.FAILED_ON_DEVICE,
    code="no_new_version_available",
    message="No new version available",
    kind="up_to_date",
    log="noNew",
)


def _platform_off(platform: str, message: str, log: str) -> Outcome:
    return Outcome(
        rule=Rule.PLATFORM,
        code=f"disabled_platform_{platform}",
        message=message,
        kind="blocked",
        extras=Extras.RUNNING,
        log=log,
    )


PLATFORM_OFF: dict[str, Outcome] = {
    "ios": _platform_off("ios", "Cannot update, ios it's disabled", "disablePlatformIos"),
    "android": _platform_off("android", "Cannot update, android is disabled", "disablePlatformAndroid"),
    "electron": _platform_off("electron", "Cannot update, electron is disabled", "disablePlatformElectron"),
}


def _upgrade_blocked(rule: Rule, code: str, message: str, log: str) -> Outcome:
    return Outcome(
        rule=rule,
        code=code,
        message=message,
        kind="blocked",
        extras=Extras.NATIVE_MAJOR,
        log=log,
        notice=UPGRADE_BLOCKED,
    )


MAJOR_BLOCKED = _upgrade_blocked(
    Rule.POLICY_MAJOR, "disable_auto_update_to_major", "Cannot upgrade major version", "disableAutoUpdateToMajor"
)
MINOR_BLOCKED = _upgrade_blocked(
    Rule.POLICY_MINOR, "disable_auto_update_to_minor", "Cannot upgrade minor version", "disableAutoUpdateToMinor"
)
PATCH_BLOCKED = _upgrade_blocked(
    Rule.POLICY_PATCH, "disable_auto_update_to_patch", "Cannot upgrade patch version", "disableAutoUpdateToPatch"
)
BELOW_MIN_VERSION = _upgrade_blocked(
    Rule.MIN_VERSION,
    "disable_auto_update_to_metadata",
    "Cannot upgrade version, min update version > current version",
    "disableAutoUpdateMetadata",
)
NO_MIN_VERSION = Outcome(
    rule=Rule.MIN_VERSION_SET,
    code="misconfigured_channel",
    message="Channel {channel.name} is misconfigured",
    template=True,
    extras=Extras.NATIVE,
    log="channelMisconfigured",
)
UNDER_NATIVE = Outcome(
    rule=Rule.UNDER_NATIVE,
    code="disable_auto_update_under_native",
    message="Cannot revert under native version",
    kind="blocked",
    extras=Extras.RUNNING,
    log="disableAutoUpdateUnderNative",
    notice=DOWNGRADE_BLOCKED,
)


def _unreadable_name(rule: Rule) -> Outcome:
    """A policy has to compare a bundle whose name is no version; upstream crashed (contract: device 7.9)."""
    return Outcome(
        rule=rule,
        code="semver_error",
        message="Bundle name: {bundle.name} doesn't follow semver convention, so the policy of channel {channel.name} "
        "cannot compare it",
        template=True,
        device=False,
    )


UNREADABLE_NAME: dict[Rule, Outcome] = {
    rule: _unreadable_name(rule)
    for rule in (Rule.POLICY_MAJOR, Rule.POLICY_MINOR, Rule.POLICY_PATCH, Rule.UNDER_NATIVE)
}
UNREADABLE_MIN_VERSION = Outcome(
    rule=Rule.MIN_VERSION,
    code="semver_error",
    message="Min update version: {bundle.min_update_version} of bundle {bundle.name} doesn't follow semver convention",
    template=True,
    device=False,
)


def _build_refused(rule: Rule, code: str, message: str, log: str) -> Outcome:
    return Outcome(rule=rule, code=code, message=message, kind="blocked", extras=Extras.RUNNING, log=log)


PROD_BUILD_OFF = _build_refused(
    Rule.PROD_BUILD, "disable_prod_build", "Cannot update, prod build is disabled", "disableProdBuild"
)
DEV_BUILD_OFF = _build_refused(
    Rule.DEV_BUILD, "disable_dev_build", "Cannot update, dev build is disabled", "disableDevBuild"
)
DEVICE_OFF = _build_refused(
    Rule.PHYSICAL_DEVICE, "disable_device", "Cannot update, device is disabled", "disableDevice"
)
EMULATOR_OFF = _build_refused(
    Rule.EMULATOR, "disable_emulator", "Cannot update, emulator is disabled", "disableEmulator"
)
ALREADY_ON_BUILTIN = Outcome(
    rule=Rule.BUILTIN,
    code="already_on_builtin",
    message="Already on builtin",
    kind="up_to_date",
    extras=Extras.BUILTIN,
    device=False,
)
PLUGIN_CANNOT_REVERT = Outcome(
    rule=Rule.BUILTIN,
    code="revert_to_builtin_plugin_version_too_old",
    message="revert_to_builtin used, but plugin version is too old",
    device=False,
)
NO_URL = Outcome(rule=Rule.URL, code="no_bundle_url", message="Cannot get bundle url", log="cannotGetBundle")
