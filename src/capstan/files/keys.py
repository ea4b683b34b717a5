"""The names under which objects appear on the wire, and the name under which each is really stored.

A wire key is `orgs/<org>/apps/<app>/<one or more segments>` (contract: device 4.3). It is part of download URLs and of
manifest rows, and can be long: the official command line makes segments of 738 characters, more than a file system
takes. So no store ever sees a wire key; it sees `object_name(key)`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


def object_name(key: str) -> str:
    """Where a wire key is stored, in every backend: the hex SHA-256 of its UTF-8 bytes as `ab/cd/<60 more digits>`.

    Two levels of folders keep each of them small with millions of objects. A hash cannot leave its folder, whatever
    the key says, and keys that differ only by case stay apart on file systems that ignore case.
    """
    digest = hashlib.sha256(key.encode()).hexdigest()
    return f"{digest[:2]}/{digest[2:4]}/{digest[4:]}"


@dataclass(frozen=True, slots=True)
class AppKey:
    """A well-formed wire key, and the app that it belongs to."""

    key: str
    org_id: str
    app_id: str

    def same_app(self, other: AppKey) -> bool:
        return (self.org_id, self.app_id) == (other.org_id, other.app_id)


def parse_key(key: str) -> AppKey | None:
    """The app of a wire key, or None if it is not `orgs/<org>/apps/<app>/<…>`, or has an empty, `.` or `..` segment."""
    segments = key.split("/")
    if len(segments) < 5 or segments[0] != "orgs" or segments[2] != "apps":
        return None
    if any(segment in ("", ".", "..") for segment in segments):
        return None
    return AppKey(key, segments[1], segments[3])


def app_prefix(org_id: str, app_id: str) -> str:
    """What all keys of an app begin with, without a slash at the end."""
    return f"orgs/{org_id}/apps/{app_id}"


def zip_key(prefix: str, version: str, sha256: str) -> str:
    """The key of a zip that this server took in; `prefix` as `app_prefix` gives it.

    Another content has another key, so uploads of one version that run at the same time cannot harm each other.
    """
    return f"{prefix}/zip/{sha256}/{version}.zip"


def delta_key(prefix: str, sha256: str, *, compressed: bool) -> str:
    """The key of one file unpacked by the server. `sha256` is that of the original content, compressed or not."""
    return f"{prefix}/delta/{sha256}.br" if compressed else f"{prefix}/delta/{sha256}"
