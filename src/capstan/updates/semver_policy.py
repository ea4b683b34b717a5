"""Version numbers as the device protocol reads them, and what each plugin release can do.

The parser is the protocol's own (contract: device 0.4): blanks around, one leading `v`, exactly three numbers, at most
256 characters and 2^53-1 for each number. Everything is remembered in bounded tables, for the same few versions come
with almost every request; a text that is too long to be a version is never remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TypeAlias

from msgspec import Struct

MAX_LENGTH = 256
MAX_NUMBER = 2**53 - 1
BUILTIN_NAME = "builtin"
UNKNOWN_NAME = "unknown"

BLANKS = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007"
    "\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What the protocol trims: the blanks of ECMAScript, which are not quite those of `str.strip`."""

Precedence: TypeAlias = tuple[int, int, int, int, tuple[tuple[int, int, str], ...]]

_NUMBER = "(0|[1-9][0-9]*)"
_PLAIN = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")
_PRE_RELEASE = r"(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_BUILD = r"[0-9A-Za-z-]+"
_SEMVER = re.compile(
    rf"v?{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PRE_RELEASE}(?:\.{_PRE_RELEASE})*))?(?:\+({_BUILD}(?:\.{_BUILD})*))?"
)


class Semver(Struct, frozen=True, gc=False):
    """A version that could be read. `order` compares as semver 2.0 says; `text` is the form without blanks and `v`."""

    major: int
    minor: int
    patch: int
    order: Precedence
    text: str


class NativeVersion(Struct, frozen=True, gc=False):
    """A `version_build` that may enter: its repaired text, and None as `semver` if its numbers are too large."""

    text: str
    semver: Semver | None


class PluginFeatures(Struct, frozen=True, gc=False):
    """What a plugin release can do (contract: device 1.4, 1.9, 2.4, 3.2).

    A `plugin_version` that cannot be read is `well_formed` only if it looks like `N.N.N` (its numbers are then too
    large). It counts as `legacy_channel_self`, is withheld nothing that has a floor for each major, and is granted
    nothing that has one minimum for all.
    """

    well_formed: bool
    unsupported: bool
    deprecated: bool
    manifests: bool
    metadata: bool
    legacy_channel_self: bool
    reverts_to_builtin: bool
    checks_key: bool
    counts_download_fail: bool


def parse_semver(text: str) -> Semver | None:
    """The version that `text` names, or None (contract: device 0.4)."""
    return _parse(text) if len(text) <= MAX_LENGTH else None


@lru_cache(maxsize=4096)
def _parse(text: str) -> Semver | None:
    match = _SEMVER.fullmatch(text.strip(BLANKS))
    if match is None:
        return None
    major, minor, patch = int(match[1]), int(match[2]), int(match[3])
    if max(major, minor, patch) > MAX_NUMBER:
        return None
    pre_release = match[4]
    order: Precedence = (major, minor, patch, 1, ())
    if pre_release is not None:
        order = (major, minor, patch, 0, tuple(map(_identifier_order, pre_release.split("."))))
    return Semver(major, minor, patch, order, match[0].removeprefix("v"))


def _identifier_order(identifier: str) -> tuple[int, int, str]:
    """Numbers below words, numbers by value, words by character (semver 2.0, 11.4)."""
    return (0, int(identifier), "") if identifier.isdecimal() else (1, 0, identifier)


def is_plain(text: str) -> bool:
    """Whether `text` is `N.N.N` and nothing else; the numbers may be of any size."""
    return _PLAIN.fullmatch(text) is not None


def fix_semver(text: str) -> str:
    """Lengthen `text` to three parts; `builtin` and `unknown` become `0.0.0` (contract: device 0.4)."""
    if text in (BUILTIN_NAME, UNKNOWN_NAME):
        return "0.0.0"
    return text + {0: ".0.0", 1: ".0"}.get(text.count("."), "")


def native_version(raw: str) -> NativeVersion | None:
    """Repair a `version_build` that is not empty, or None if it cannot be repaired (contract: device 1.2 step 7)."""
    return _native(raw) if len(raw) <= MAX_LENGTH else _native.__wrapped__(raw)


@lru_cache(maxsize=4096)
def _native(raw: str) -> NativeVersion | None:
    if is_plain(raw):
        return NativeVersion(raw, parse_semver(raw))
    semver = parse_semver(fix_semver(raw))
    return None if semver is None else NativeVersion(semver.text, semver)


def _order(text: str) -> Precedence:
    semver = parse_semver(text)
    assert semver is not None, text
    return semver.order


_DEPRECATED_BELOW = {5: _order("5.10.0"), 6: _order("6.25.0"), 7: _order("7.25.0"), 8: _order("8.0.0")}
_MANIFEST_FROM = {5: _order("5.10.0"), 6: _order("6.25.0"), 7: _order("7.0.35")}
_METADATA_FROM = {5: _order("5.35.0"), 6: _order("6.35.0"), 7: _order("7.35.0"), 8: _order("8.35.0")}
_MODERN_FROM = {5: _order("5.34.0"), 6: _order("6.34.0"), 7: _order("7.34.0"), 8: _order("8.0.0")}
_UNSUPPORTED_MAJOR = 4
_REVERTS_FROM = _order("6.2.0")
_SHORT_KEYS_UNTIL = _order("8.40.7")
_HONEST_FAILS_FROM = _order("7.17.0")
_HONEST_FAILS_FROM_6 = _order("6.14.25")


def plugin_features(plugin_version: str) -> PluginFeatures:
    """What the plugin of this version can do; any text is answered."""
    return _plugin(plugin_version) if len(plugin_version) <= MAX_LENGTH else _plugin.__wrapped__(plugin_version)


@lru_cache(maxsize=1024)
def _plugin(plugin_version: str) -> PluginFeatures:
    semver = parse_semver(plugin_version)
    if semver is None:
        return PluginFeatures(
            well_formed=is_plain(plugin_version),
            unsupported=False,
            deprecated=False,
            manifests=True,
            metadata=True,
            legacy_channel_self=True,
            reverts_to_builtin=False,
            checks_key=False,
            counts_download_fail=False,
        )
    is_6 = plugin_version.startswith("6.")
    return PluginFeatures(
        well_formed=True,
        unsupported=semver.major == _UNSUPPORTED_MAJOR,
        deprecated=_is_below(semver, _DEPRECATED_BELOW),
        manifests=not _is_below(semver, _MANIFEST_FROM),
        metadata=not _is_below(semver, _METADATA_FROM),
        legacy_channel_self=_is_below(semver, _MODERN_FROM),
        reverts_to_builtin=semver.order >= _REVERTS_FROM,
        checks_key=semver.order > _SHORT_KEYS_UNTIL,
        counts_download_fail=semver.order >= (_HONEST_FAILS_FROM_6 if is_6 else _HONEST_FAILS_FROM),
    )


def _is_below(semver: Semver, floors: dict[int, Precedence]) -> bool:
    """Whether `semver` is below the floor of its own major; a major without a floor never is."""
    floor = floors.get(semver.major)
    return floor is not None and semver.order < floor
