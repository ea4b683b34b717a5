"""Several server processes on one listening socket: started, watched, started anew when one dies, stopped together.

The parent answers nothing itself. It shares a socket pair with each worker, the worker's lifeline (see `worker`): when
the parent lets go of it the worker stops, and the system lets go if the parent is killed.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec
import structlog

from capstan.cli.failures import REFUSED
from capstan.cli.flags import Flags
from capstan.cli.server import GRACE_SECONDS

log = structlog.get_logger(__name__)

_KILL_AFTER_SECONDS = GRACE_SECONDS + 5
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


def run_workers(count: int, listener: socket.socket, flags: Flags, on_ready: Callable[[], None]) -> int:
    """Serve with `count` processes until SIGINT or SIGTERM; the exit code, 1 if one of them could not even start.

    `on_ready` is called once, when all of them answer.
    """
    return asyncio.run(_Workers(count, listener, flags, on_ready).run())


class Worker:
    """One server process, as its parent holds it."""

    def __init__(self, process: Process, lifeline: socket.socket) -> None:
        self._process = process
        self._lifeline = lifeline

    @staticmethod
    async def start(listener: socket.socket, flags: Flags, environ: Mapping[str, str] | None = None) -> Worker:
        """Start one; `environ` is its environment if it shall not have ours."""
        given = msgspec.json.encode({name: text for name, text in flags.items() if text is not None}).decode()
        lifeline, its_end = socket.socketpair()
        lifeline.setblocking(False)
        with its_end:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "capstan.cli.worker"),
                *(str(listener.fileno()), str(its_end.fileno()), given),
                pass_fds=(listener.fileno(), its_end.fileno()),
                env=environ,
            )
        return Worker(process, lifeline)

    async def answers(self) -> bool:
        """Wait until it says that it answers; False if it ended, or was stopped, before."""
        return bool(await asyncio.get_running_loop().sock_recv(self._lifeline, 1))

    async def ended(self) -> None:
        """Wait until it is gone."""
        await self._process.wait()

    async def stop(self) -> None:
        """Have it finish what it answers and end; kill it if it takes too long."""
        with suppress(OSError):
            self._lifeline.shutdown(socket.SHUT_RDWR)
        try:
            await asyncio.wait_for(self._process.wait(), _KILL_AFTER_SECONDS)
        except TimeoutError:
            log.warning("a worker was killed because it did not stop", pid=self._process.pid)
            self._process.kill()
            await self._process.wait()
        finally:
            self._lifeline.close()


class _Workers:
    def __init__(self, count: int, listener: socket.socket, flags: Flags, on_ready: Callable[[], None]) -> None:
        self._count = count
        self._listener = listener
        self._flags = flags
        self._on_ready = on_ready
        self._ready: set[int] = set()
        self._stopping = asyncio.Event()
        self._failed = False

    async def run(self) -> int:
        loop = asyncio.get_running_loop()
        for told in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(told, self._stopping.set)
        async with asyncio.TaskGroup() as group:
            for number in range(self._count):
                group.create_task(self._keep(number))
        return REFUSED if self._failed else 0

    async def _keep(self, number: int) -> None:
        """Let there be a worker of this number until everything stops."""
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            answered = await self._live(number)
            if self._stopping.is_set():
                return
            if number not in self._ready:
                # What keeps a worker from its very first start keeps the next one too.
                self._failed = True
                self._stopping.set()
                return
            pause = _FIRST_PAUSE_SECONDS if answered else min(pause * 2, _LONGEST_PAUSE_SECONDS)
            log.warning("a worker died and is started anew", worker=number, pause=pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _live(self, number: int) -> bool:
        """The life of one process, from start to end; whether it ever answered."""
        worker = await Worker.start(self._listener, self._flags)
        life = asyncio.create_task(self._watch(worker, number))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((life, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await worker.stop()
        return await life

    async def _watch(self, worker: Worker, number: int) -> bool:
        answered = await worker.answers()
        if answered and number not in self._ready:
            self._ready.add(number)
            if len(self._ready) == self._count:
                self._on_ready()
        await worker.ended()
        return answered
