"""Whether what arrived is what was announced: by the client's checksum, and by names that state a content.

Ingest takes `delta/<sha256>[.br]` for what its name says, without looking: each such object was made by this server,
and so was each `zip/<sha256>/…`. An upload under such a name is compared with it, or whoever may upload could put a
file into other people's bundles. The official command line's delta files have names of another form, `<sha256>_<path>`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator

import brotli  # type: ignore[import-untyped]  # it ships no types

from capstan.errors import Problem

_DELTA = re.compile(r"orgs/[^/]+/apps/[^/]+/delta/([0-9a-f]{64})(\.br)?", re.ASCII)
_ZIP = re.compile(r"orgs/[^/]+/apps/[^/]+/zip/([0-9a-f]{64})/.+", re.ASCII | re.DOTALL)
_UNPACKED_AT_ONCE = 1 << 20


class ContentCheck:
    """The checks of one upload. `checksum` is base64 of a SHA-256; `max_unpacked` bounds what a `.br` may become."""

    def __init__(self, key: str, checksum: str | None, max_unpacked: int) -> None:
        self._checksum = checksum
        self._max_unpacked = max_unpacked
        delta = _DELTA.fullmatch(key)
        named = delta or _ZIP.fullmatch(key)
        self._named = named[1] if named is not None else None
        self._decoder = brotli.Decompressor() if delta is not None and delta[2] is not None else None

    def passing(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        """The chunks as they are. Raises instead of ending if they are not what was announced.

        Raises `unknown_error` (415) or `content_mismatch`.
        """
        arrived = hashlib.sha256()
        named = hashlib.sha256()
        unpacked = 0
        for chunk in chunks:
            arrived.update(chunk)
            for piece in self._content(chunk):
                unpacked += len(piece)
                if unpacked > self._max_unpacked:
                    raise _mismatch()
                named.update(piece)
            yield chunk
        if self._checksum is not None and base64.b64encode(arrived.digest()).decode() != self._checksum:
            raise Problem("unknown_error", "Unknown error", status=415)
        incomplete = self._decoder is not None and not self._decoder.is_finished()
        if self._named is not None and (incomplete or named.hexdigest() != self._named):
            raise _mismatch()

    def _content(self, chunk: bytes) -> Iterator[bytes]:
        """What the name is about: nothing if it states no content, the unpacked bytes of a `.br`."""
        if self._decoder is None:
            if self._named is not None:
                yield chunk
            return
        try:
            while piece := self._decoder.process(chunk, output_buffer_limit=_UNPACKED_AT_ONCE):
                yield piece
                chunk = b""
        except brotli.error:
            raise _mismatch() from None


def _mismatch() -> Problem:
    return Problem("content_mismatch", "The SHA-256 of this file's content is not the one in its name")
