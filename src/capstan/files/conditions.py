"""Which bytes of an object a download asks for: ranges and conditional requests, as a function of their headers.

Follows RFC 9110 with two exceptions. A range that starts at or past the end is 206 with an empty body and
`bytes */size` instead of 416, on which clients build (contract: device 4.4, 7.6). Several ranges at once get the
whole object, which the RFC allows and no client here asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_ONE_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]{0,100})\s*-\s*([0-9]{0,100})\s*")


@dataclass(frozen=True, slots=True)
class Selection:
    """Status 200, 206 or 304, and the bytes from `start` up to but not including `stop`."""

    status: int
    start: int
    stop: int

    def content_range(self, size: int) -> str:
        """The `Content-Range` of a 206."""
        if self.start == self.stop:
            return f"bytes */{size}"
        return f"bytes {self.start}-{self.stop - 1}/{size}"


CONDITIONAL = frozenset({"range", "if-none-match"})
"""Request headers that make `select` answer something else than the whole object."""


def select(headers: Mapping[str, str], size: int, etag: str | None) -> Selection:
    """What to send of an object of `size` bytes, by the request's headers (lower-case names) and its entity tag."""
    if etag is not None and _listed(headers.get("if-none-match", ""), etag):
        return Selection(304, 0, 0)
    # A resumed download whose object was replaced meanwhile must begin anew. Dates are too coarse to tell.
    unchanged = headers.get("if-range", etag) == etag
    wanted = _range(headers["range"], size) if unchanged and "range" in headers else None
    return Selection(206, *wanted) if wanted else Selection(200, 0, size)


def _range(text: str, size: int) -> tuple[int, int] | None:
    """`(size, size)` if the range is past the end; None if it is to be ignored, like several ranges or other units."""
    match = _ONE_RANGE.fullmatch(text)
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:
        return max(size - int(last), 0), size
    if last and int(last) < int(first):
        return None
    start = min(int(first), size)
    return start, min(int(last) + 1, size) if last else size


def _listed(text: str, etag: str) -> bool:
    """Weak comparison (RFC 9110, 8.8.3.2). The stores' tags hold no commas, so splitting at commas is enough."""
    tags = [tag.strip().removeprefix("W/") for tag in text.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags
