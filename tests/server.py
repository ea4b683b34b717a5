"""A whole server in this process, on a free port of the loopback interface: what a test talks to over HTTP."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
import uvloop

from capstan.app import Capstan
from capstan.settings import load


@contextmanager
def running_server(flags: dict[str, str]) -> Iterator[str]:
    """Start a server with these settings, give its base URL, stop it gracefully at the end."""
    settings = load(flags, {})
    config = uvicorn.Config(
        Capstan(settings), log_config=None, access_log=False, lifespan="on", proxy_headers=False, server_header=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=lambda: uvloop.run(server.serve([listener])), daemon=True)
        thread.start()
        try:
            while not server.started:
                if not thread.is_alive():
                    raise RuntimeError("the server did not start; its log says why")
                thread.join(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
