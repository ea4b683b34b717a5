"""One process that answers requests on a listening socket until it is told to stop."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import uvicorn

from capstan.app import Capstan
from capstan.cli.failures import REFUSED
from capstan.cli.listener import BACKLOG
from capstan.settings import Settings

GRACE_SECONDS = 10
"""How long requests may go on once the server is told to stop. A cut download is resumed by its device."""

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Server(uvicorn.Server):
    """Uvicorn, but it says when it answers, and ending on a signal is success. `stop` may be called by any thread."""

    def __init__(self, settings: Settings, on_ready: Callable[[], None]) -> None:
        super().__init__(_config(settings))
        self._on_ready = on_ready

    def answer(self, listener: socket.socket) -> int:
        """Serve until a signal or `stop`; the exit code: 0 if it ended as it was told to."""
        try:
            self.run(sockets=[listener])
        except SystemExit:
            # The application's start-up failed, and it has said why in the log.
            return REFUSED
        return 0

    def stop(self) -> None:
        """Take no more requests, finish those that are running, end."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT and SIGTERM; uvicorn's own would let the process die by the signal after all."""
        before = {number: signal.signal(number, self.handle_exit) for number in _STOP_SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        cast(Any, Capstan(settings)),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        # Forwarded headers are read by the application, which knows whom to believe.
        proxy_headers=False,
        backlog=BACKLOG,
        workers=1,
        timeout_graceful_shutdown=GRACE_SECONDS,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=settings.tls_key,
    )
