"""The bytes that answer a check (contract: device 1.9, 0.2, 7.2). What is answered is decided elsewhere.

A refusal has `error`, `message`, its extras and `kind`, in this order and never null; an update has none of these keys.
An answer with a manifest is long and the same for all devices but for the device id in its zip URL: see
`manifest_body`.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, Struct, UnsetType

from capstan.updates.decision import Decision
from capstan.updates.rules import (
    ALREADY_ON_BUILTIN,
    FAILED_ON_DEVICE,
    NO_BUNDLE,
    NO_CHANNEL,
    NO_URL,
    ON_TARGET,
    PLUGIN_CANNOT_REVERT,
    REVERT_TO_BUILTIN,
    Extras,
    Outcome,
)
from capstan.updates.semver_policy import BUILTIN_NAME
from capstan.updates.snapshot import Bundle

ON_PREMISE_APP = b'{"error":"on_premise_app","message":"On-premise app detected"}'
"""The 429 body for an app that is unknown or whose plan is not valid (contract: device 1.4 steps 2 to 8)."""
ON_PREMISE_APP_SHORT = b'{"error":"on_premise_app"}'
"""The 429 body for an address that asked for too many unknown apps (contract: device 1.7)."""

NO_ZIP_URL = "https://404.capgo.app/no.zip"
"""What stands in for the zip of a bundle that has delta files only.

Clients of every version insist on a valid URL and only need it to answer 404. It is upstream's literal, and not one of
our own host, because the recorded answers have it and because it does not depend on how this server is reached.
"""

READ_PATH = "/files/read/attachments/"

_encode = msgspec.json.Encoder().encode


class UpdateReply(Struct, gc=False, omit_defaults=True):
    """An update without a manifest, its keys in the order of the wire."""

    version: str
    url: str
    session_key: str
    checksum: str | None
    link: str | UnsetType = UNSET
    comment: str | UnsetType = UNSET


def reply_body(decision: Decision, origin: str) -> bytes:
    """The JSON of any answer but one that `wants_manifest`; `origin` is `scheme://host` of this server."""
    outcome = decision.outcome
    prebuilt = _PREBUILT.get(outcome.code or outcome.rule)
    if prebuilt is not None:
        return prebuilt
    bundle = decision.bundle
    if decision.is_update and bundle is not None:
        return _encode(_update_reply(decision, bundle, origin))
    return _encode({"error": outcome.code, "message": decision.message, **decision.extras, "kind": outcome.kind})


def wants_manifest(decision: Decision) -> bool:
    """Whether the answer is an update with a manifest, to be made by `manifest_body` instead of `reply_body`."""
    bundle = decision.bundle
    return (
        bundle is not None
        and bundle.has_manifest
        and decision.is_update
        and not bundle.external_url
        and decision.check.plugin.manifests
    )


def zip_url(bundle: Bundle, origin: str, device_id: str) -> str:
    """Where the device finds the zip. `key` varies caches, `device_id` is for accounting; nothing is escaped."""
    if bundle.external_url:
        return bundle.external_url
    if bundle.r2_path:
        return f"{origin}{READ_PATH}{bundle.r2_path}?key={bundle.checksum or ''}&device_id={device_id}"
    return NO_ZIP_URL


def shows_metadata(decision: Decision) -> bool:
    """Whether link and comment may be told: the app exposes them and the plugin knows them."""
    return decision.snapshot.expose_metadata and decision.check.plugin.metadata


def _update_reply(decision: Decision, bundle: Bundle, origin: str) -> UpdateReply:
    reply = UpdateReply(
        bundle.name, zip_url(bundle, origin, decision.check.device_id), bundle.session_key or "", bundle.checksum
    )
    if shows_metadata(decision):
        reply.link = bundle.link or UNSET
        reply.comment = bundle.comment or UNSET
    return reply


def _constant(outcome: Outcome) -> bytes:
    assert not outcome.template, outcome
    extras = {"version": BUILTIN_NAME} if outcome.extras is Extras.BUILTIN else {}
    return _encode({"error": outcome.code, "message": outcome.message, **extras, "kind": outcome.kind})


_PREBUILT: dict[str, bytes] = {
    outcome.code or "": _constant(outcome)
    for outcome in (
        NO_CHANNEL,
        NO_BUNDLE,
        ON_TARGET,
        FAILED_ON_DEVICE,
        ALREADY_ON_BUILTIN,
        PLUGIN_CANNOT_REVERT,
        NO_URL,
    )
}
# The bare form, for the presence of `error`, `message` or `kind` keeps clients from going back (contract: device 7.2).
_PREBUILT[REVERT_TO_BUILTIN.rule] = _encode({"version": BUILTIN_NAME})
