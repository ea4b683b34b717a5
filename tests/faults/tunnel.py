"""A way to a server of this machine that can be closed, fall silent, or break off in the middle of an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Literal, TypeAlias

State: TypeAlias = Literal["open", "closed", "silent"]

_CHUNK = 65_536


class Tunnel:
    """Listens on `port`. What it does now may change at any time, for connections that are there already as well.

    When an open tunnel has carried `room` bytes back it breaks off all that is carried beyond (None: no end).
    """

    def __init__(self, target_port: int) -> None:
        self.room: int | None = None
        self._state: State = "open"
        self._target_port = target_port
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def being(self, state: State) -> Iterator[None]:
        """In another state for a while."""
        self._state = state
        self._drop_connections()
        try:
            yield
        finally:
            self._state = "open"
            self._drop_connections()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._drop_connections()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                arrived, _ = self._listener.accept()
                if self._state == "closed":
                    arrived.close()
                    continue
                self._open.add(arrived)
                if self._state == "open":
                    self._join(arrived)

    def _join(self, arrived: socket.socket) -> None:
        target = socket.create_connection(("127.0.0.1", self._target_port))
        self._open.add(target)
        for source, sink, is_back in ((arrived, target, False), (target, arrived, True)):
            threading.Thread(target=self._carry, args=(source, sink, is_back), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket, is_back: bool) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if is_back and self.room is not None:
                    self.room -= len(chunk)
                    if self.room < 0:
                        break
                sink.sendall(chunk)
        self._drop(source)
        self._drop(sink)

    def _drop_connections(self) -> None:
        for one in list(self._open):
            self._drop(one)

    def _drop(self, one: socket.socket) -> None:
        self._open.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
