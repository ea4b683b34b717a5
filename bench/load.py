"""Load on a server of this machine: raw HTTP/1.1 over keep-alive connections, as cheap as Python allows.

The closed model asks for the cost of a request: each connection sends its next request when the last is answered. Only
loopback is ever a target.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass

NextBody = Callable[[], bytes]


@dataclass(frozen=True)
class Measured:
    """What one run cost. CPU seconds are the server process's, user and system."""

    requests: int
    errors: int
    seconds: float
    cpu_seconds: float
    sample: bytes

    @property
    def cpu_us(self) -> float:
        """Microseconds of server CPU for each request."""
        return self.cpu_seconds / self.requests * 1e6

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def cpu_seconds(pid: int) -> float:
    """CPU that a process has used so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def request_bytes(path: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


class _Connection(asyncio.Protocol):
    def __init__(self, path: str, next_body: NextBody, done: Callable[[], bool]) -> None:
        self._path = path
        self._next_body = next_body
        self._done = done
        self._buffer = b""
        self.requests = 0
        self.errors = 0
        self.sample = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head_end = buffer.find(b"\r\n\r\n")
        if head_end < 0:
            self._buffer = buffer
            return
        mark = buffer.find(b"content-length: ", 0, head_end)
        length = int(buffer[mark + 16 : buffer.index(b"\r", mark)])
        if len(buffer) < head_end + 4 + length:
            self._buffer = buffer
            return
        self._buffer = b""
        self.requests += 1
        if buffer[9:12] != b"200":
            self.errors += 1
        self.sample = buffer
        if self._done():
            self._transport.close()
        else:
            self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        self._transport.write(request_bytes(self._path, self._next_body()))


async def closed_load(
    port: int, pid: int, path: str, next_body: NextBody, *, requests: int, connections: int = 64
) -> Measured:
    """Send `requests` requests over `connections` connections, and say what they cost the server."""
    loop = asyncio.get_running_loop()
    sent = 0

    def done() -> bool:
        nonlocal sent
        sent += 1
        return sent > requests - connections

    cpu, started = cpu_seconds(pid), time.perf_counter()
    made = [
        await loop.create_connection(lambda: _Connection(path, next_body, done), "127.0.0.1", port)
        for _ in range(connections)
    ]
    protocols = [protocol for _, protocol in made]
    await asyncio.gather(*(protocol.closed for protocol in protocols))
    seconds = time.perf_counter() - started
    # What the writer thread still owes belongs to these requests too.
    await asyncio.sleep(1.0)
    return Measured(
        sum(protocol.requests for protocol in protocols),
        sum(protocol.errors for protocol in protocols),
        seconds,
        cpu_seconds(pid) - cpu,
        protocols[0].sample,
    )
