"""How an updater plugin judges the reply to an update check (contract: device 7.2 and 7.3).

One pure function from what came back and what is on the device to an `Answer`. It judges as the newest release does;
older releases differ only in the event they send afterwards (`event_after`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import msgspec

from capstan.simulator.identity import BUILTIN, Identity, Platform
from capstan.simulator.releases import Refusals, Release


class Outcome(StrEnum):
    """What the device makes of the reply."""

    UPDATE = "update"
    """Download this bundle."""
    ON_DEVICE = "on_device"
    """The bundle is already here and usable: schedule it without download."""
    BROKEN_ON_DEVICE = "broken_on_device"
    """The bundle is here and failed before: refused."""
    NOTHING = "nothing"
    """The version is empty or runs already."""
    REVERT = "revert"
    """Back to the native bundle."""
    UP_TO_DATE = "up_to_date"
    BLOCKED = "blocked"
    FAILED = "failed"
    REJECTED = "rejected"
    """A message without error or kind, seen by a call of the app."""


@dataclass(frozen=True)
class Reply:
    """What came back from the server, as bytes."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    @cached_property
    def json(self) -> Any:
        """The body as a value; None when it is not JSON."""
        try:
            return msgspec.json.decode(self.body)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    @property
    def fields(self) -> dict[str, Any]:
        """The members of the body when it is a JSON object, else none."""
        return self.json if isinstance(self.json, dict) else {}


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """One delta file; a field the server left out is ""."""

    file_name: str
    file_hash: str
    download_url: str


@dataclass(frozen=True, slots=True)
class Offer:
    """The bundle a reply offers; "" stands for null and absent alike."""

    version: str
    url: str = ""
    checksum: str = ""
    session_key: str = ""
    manifest: tuple[ManifestEntry, ...] = ()
    link: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A judged check. `reason` is the server's error code, or the device's own: network_error, rate_limited,
    response_error, parse_error, decode_error, missing_url, invalid_url."""

    outcome: Outcome
    reason: str = ""
    refused: bool = False
    """The reply carried `error` or `kind`."""
    breaking: bool = False
    """The app is told that an update needs a new native version."""
    offer: Offer | None = None
    reply: Reply | None = None
    """The raw reply; None when nothing came back."""


@dataclass(frozen=True, slots=True)
class OnDevice:
    """What the device has when it asks: the version that runs, and for each installed version whether it is usable."""

    identity: Identity
    running: str
    usable: Mapping[str, bool]


def judge(reply: Reply | None, device: OnDevice, *, asked_by_app: bool = False) -> Answer:
    """What the device makes of a reply; None is a failure of the network.

    `asked_by_app` is a call of getLatest, which rejects a bare `message`; the automatic check does not look at it.
    """
    if reply is None:
        return Answer(Outcome.FAILED, "network_error")
    fields = _readable(reply, device.identity.platform)
    if fields is not None and _refuses(fields, device.identity.platform):
        return _refusal(reply, fields)
    fault = _fault(reply, fields is not None, device.identity.platform)
    if fault:
        return Answer(Outcome.FAILED, fault, reply=reply)
    found = fields or {}
    breaking = _breaking(found)
    if asked_by_app and _text(found, "message"):
        return Answer(Outcome.REJECTED, _text(found, "message"), breaking=breaking, reply=reply)
    offer = _offer(found)
    outcome, reason = _decide(offer, device)
    return Answer(outcome, reason, breaking=breaking, offer=offer, reply=reply)


def event_after(answer: Answer, release: Release) -> str | None:
    """The action of the event a release sends after an answer that is no update; None for no event."""
    if not answer.refused:
        return "download_fail" if answer.outcome is Outcome.FAILED else None
    match release.refusals:
        case Refusals.BY_KIND:
            return "download_fail" if answer.outcome is Outcome.FAILED else None
        case Refusals.BY_STATUS:
            return None if answer.reply and answer.reply.ok else "download_fail"
        case Refusals.BACKEND_REFUSAL:
            return "backend_refusal"
        case Refusals.EVERY_ERROR:
            return "download_fail"


def _decide(offer: Offer, device: OnDevice) -> tuple[Outcome, str]:
    if offer.version == BUILTIN and device.identity.release.reverts:
        return Outcome.REVERT, ""
    if not _valid_url(offer.url):
        return Outcome.FAILED, "invalid_url" if offer.url else "missing_url"
    if offer.version in ("", device.running):
        return Outcome.NOTHING, ""
    if offer.version in device.usable:
        return (Outcome.ON_DEVICE if device.usable[offer.version] else Outcome.BROKEN_ON_DEVICE), ""
    return Outcome.UPDATE, ""


def _refuses(fields: Mapping[str, Any], platform: Platform) -> bool:
    # iOS looks at the value, the others at the key alone: `"error":null` is an error on Android.
    if platform is Platform.IOS:
        return bool(fields.get("error") or fields.get("kind"))
    return "error" in fields or "kind" in fields


def _refusal(reply: Reply, fields: Mapping[str, Any]) -> Answer:
    kind = _text(fields, "kind")
    known = kind in (Outcome.UP_TO_DATE, Outcome.BLOCKED)
    return Answer(
        Outcome(kind) if known else Outcome.FAILED,
        _text(fields, "error"),
        refused=True,
        breaking=_breaking(fields),
        reply=reply,
    )


def _fault(reply: Reply, readable: bool, platform: Platform) -> str:
    if reply.status == 429:
        return "rate_limited"
    if not reply.ok:
        return "response_error"
    if not readable:
        return "decode_error" if platform is Platform.IOS else "parse_error"
    return ""


def _breaking(fields: Mapping[str, Any]) -> bool:
    says_so = (
        fields.get("breaking") is True
        or fields.get("error") == "disable_auto_update_to_major"
        or fields.get("message") == "store_update_required"
    )
    return says_so and bool(_text(fields, "version"))


TEXTS = ("version", "checksum", "url", "message", "error", "kind", "session_key", "link", "comment")
FLAGS = ("major", "breaking")


def _readable(reply: Reply, platform: Platform) -> dict[str, Any] | None:
    """The fields of the reply, or None when this platform cannot decode it: iOS refuses all for one wrong type."""
    fields = reply.json
    if not isinstance(fields, dict):
        return None
    return None if platform is Platform.IOS and not _well_typed(fields) else fields


def _well_typed(fields: Mapping[str, Any]) -> bool:
    return (
        all(isinstance(fields.get(name), str | None) for name in TEXTS)
        and all(isinstance(fields.get(name), bool | None) for name in FLAGS)
        and isinstance(fields.get("data"), dict | None)
        and all(isinstance(value, str) for value in (fields.get("data") or {}).values())
        and isinstance(fields.get("manifest"), list | None)
        and all(isinstance(entry, dict) for entry in fields.get("manifest") or ())
    )


def _offer(fields: Mapping[str, Any]) -> Offer:
    listed = fields.get("manifest")
    # What is not an object stays as an entry without fields, which fails when it is downloaded.
    entries = [entry if isinstance(entry, dict) else {} for entry in listed] if isinstance(listed, list) else []
    return Offer(
        version=_text(fields, "version"),
        url=_text(fields, "url"),
        checksum=_text(fields, "checksum"),
        session_key=_text(fields, "session_key"),
        manifest=tuple(
            ManifestEntry(_text(entry, "file_name"), _text(entry, "file_hash"), _text(entry, "download_url"))
            for entry in entries
        ),
        link=_text(fields, "link"),
        comment=_text(fields, "comment"),
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _valid_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.netloc)
