"""One of several server processes, as `workers` starts it: `python -m capstan.cli.worker LISTENER LIFELINE FLAGS`.

The first two are file descriptors that it inherits, the last the command line's flags as JSON. It says on the lifeline
when it answers, and stops when the other end is gone: no worker outlives its parent, however that ended.
"""

from __future__ import annotations

import signal
import socket
import sys
import threading
from contextlib import suppress

import msgspec

from capstan.cli.flags import Flags, read_settings
from capstan.cli.quiet import configure_logs
from capstan.cli.server import Server

READY = b"r"


def run(listener: socket.socket, lifeline: socket.socket, flags: Flags) -> int:
    """Serve until the lifeline ends; the exit code."""
    settings = read_settings(flags)
    configure_logs(settings)
    server = Server(settings, lambda: _tell_ready(lifeline))
    threading.Thread(target=_stop_with_parent, args=(lifeline, server), daemon=True).start()
    return server.answer(listener)


def _tell_ready(lifeline: socket.socket) -> None:
    # A parent that is gone by now is noticed by the thread that waits for it.
    with suppress(OSError):
        lifeline.sendall(READY)


def _stop_with_parent(lifeline: socket.socket, server: Server) -> None:
    # Nothing is ever sent to a worker, so this returns, one way or the other, when the parent lets go or dies.
    with suppress(OSError):
        lifeline.recv(1)
    server.stop()


def _start(arguments: list[str]) -> int:
    # What a terminal sends to everybody is for the parent to handle.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    listener, lifeline = (socket.socket(fileno=int(number)) for number in arguments[:2])
    return run(listener, lifeline, msgspec.json.decode(arguments[2], type=Flags))


if __name__ == "__main__":
    sys.exit(_start(sys.argv[1:]))
