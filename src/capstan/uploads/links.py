"""Upload links of our own, where the object store has none: one PUT each, for a short time (contract: device 4.5).

A link is signed and not stored, so any process of the installation understands it; only its use is recorded.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct

VALID_SECONDS = 1200
PATH = "/files/upload/signed/"
"""Where links point to; `files.plane` serves it."""

PURPOSE = "upload link"
"""What the signing key is derived for."""


class Link(Struct, frozen=True):
    """What a link is good for: the zip of one bundle, until `expires_at` (aware UTC)."""

    id: str
    key: str
    app_id: str
    bundle_id: int
    expires_at: datetime


class UploadLinks:
    """Signs and verifies links with a secret of 32 bytes."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def url(self, origin: str, link_id: str, bundle_id: int, *, app_id: str, key: str, now: datetime) -> str:
        """A new link. `link_id` is unique, at most 32 characters."""
        link = Link(link_id, key, app_id, bundle_id, now + timedelta(seconds=VALID_SECONDS))
        content = msgspec.json.encode(link)
        return f"{origin}{PATH}{_text(content)}.{_text(self._signature(content))}"

    def read(self, token: str, now: datetime) -> Link | None:
        """The link of the last part of a URL; None if it was not signed here, or its time is over."""
        content, _, signature = token.partition(".")
        try:
            signed = _bytes(content)
            if not hmac.compare_digest(_bytes(signature), self._signature(signed)):
                return None
        except ValueError:
            return None
        link = msgspec.json.decode(signed, type=Link)
        return link if link.expires_at > now else None

    def _signature(self, content: bytes) -> bytes:
        return hmac.digest(self._secret, content, hashlib.sha256)


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
