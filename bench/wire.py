"""HTTP/1.1 as an installed app sends it, over a connection that is kept open, as cheap as Python allows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

USER_AGENT = "CapacitorUpdater/8.51.14 (com.example.app) android/14"


def request_bytes(path: str, body: bytes) -> bytes:
    """A whole request."""
    head = (
        f"POST {path} HTTP/1.1\r\n"
        "Content-Type: application/json; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Host: localhost\r\n"
        "Connection: Keep-Alive\r\n"
        "Accept-Encoding: gzip\r\n"
        f"User-Agent: {USER_AGENT}\r\n\r\n"
    )
    return head.encode() + body


class Connection(asyncio.Protocol):
    """One request at a time: `answered(connection, status, body)` is called for each, `lost(connection)` at the end."""

    def __init__(self, answered: Callable[[Connection, int, bytes], None], lost: Callable[[Connection], None]) -> None:
        self._answered = answered
        self._lost = lost
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def send(self, request: bytes) -> None:
        assert self._transport is not None, "the connection is made"
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have all methods of asyncio's, but not its class.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head_end = buffer.find(b"\r\n\r\n")
        mark = buffer.find(b"content-length: ", 0, head_end)
        if head_end < 0 or len(buffer) < head_end + 4 + int(buffer[mark + 16 : buffer.index(b"\r", mark)]):
            self._buffer = buffer
            return
        self._buffer = b""
        self._answered(self, int(buffer[9:12]), buffer[head_end + 4 :])

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        self._lost(self)
