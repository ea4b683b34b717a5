"""The servers that are measured: started as processes of their own, read from outside, ended by their process id."""

from __future__ import annotations

import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from capstan.telemetry.writer import FLUSH_SECONDS

START_SECONDS = 60.0
SETTLE_SECONDS = 30.0
_LOOK_SECONDS = 0.1
_IDLE_SHARE = 0.01

_LISTENING = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")


class Server:
    """A running server on a port of the loopback interface. `owes_seconds`: how much later it may still write."""

    def __init__(self, process: subprocess.Popen[str], port: int, owes_seconds: float) -> None:
        self.pid = process.pid
        self.port = port
        self._process = process
        self._owes_seconds = owes_seconds

    @property
    def cpu_seconds(self) -> float:
        """CPU that all threads of the process have used so far, user and system; exact to the microsecond.

        The clock of another process, as clock_getcpuclockid(3) makes its id: no ticks of 10 ms as in /proc/PID/stat.
        """
        return time.clock_gettime((~self.pid << 3) | 2)

    def memory_mb(self, kind: str = "VmRSS") -> float:
        """Resident memory in MB (1e6 bytes): now, or with `VmHWM` at its highest."""
        for line in Path(f"/proc/{self.pid}/status").read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            if name == kind:
                return int(value.split()[0]) * 1024 / 1e6
        raise LookupError(kind)

    def settle(self) -> None:
        """Wait until the server does nothing any more: what its writer still owes belongs to what was asked before."""
        time.sleep(self._owes_seconds)
        end = time.monotonic() + SETTLE_SECONDS
        before = self.cpu_seconds
        while time.monotonic() < end:
            time.sleep(_LOOK_SECONDS)
            now = self.cpu_seconds
            if now - before < _IDLE_SHARE * _LOOK_SECONDS:
                return
            before = now

    def kill(self) -> None:
        """End it at once, as a crash would: nothing that it has only in memory survives."""
        self._process.kill()
        self._process.wait()


@contextmanager
def baseline() -> Iterator[Server]:
    """The yardstick."""
    with _running((sys.executable, "-m", "bench.baseline"), owes_seconds=0.0) as server:
        yield server


@contextmanager
def capstan(data_dir: Path) -> Iterator[Server]:
    """One worker, started as anybody starts it."""
    command = (sys.executable, "-m", "capstan.cli", "serve", "--data-dir", str(data_dir), "--port", "0")
    with _running(command, owes_seconds=FLUSH_SECONDS + 0.1) as server:
        yield server


@contextmanager
def _running(command: Sequence[str], owes_seconds: float) -> Iterator[Server]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process, _port(process), owes_seconds)
        finally:
            process.terminate()


def _port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None, "the output is a pipe"
    if select.select([process.stdout], [], [], START_SECONDS)[0]:
        found = _LISTENING.match(process.stdout.readline())
        if found:
            return int(found[1])
    raise RuntimeError("the server did not start; what it said is above")
