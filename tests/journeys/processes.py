"""The `capstan` command in processes of its own, as it is typed: a server that can be killed, and commands that end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

BIN = Path(sys.executable).parent
_LISTENING = "listening on "


def clean_environment(home: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a terminal just opened: no settings of whoever runs the tests, another home, `capstan` on the
    path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAPSTAN_")}
    path = f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}"
    return {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "PATH": path, **(more or {})}


@dataclass(frozen=True)
class Terminal:
    """Somewhere to type commands; they see nothing of the machine's own settings."""

    environment: Mapping[str, str]

    def capstan(self, *arguments: str | Path) -> str:
        """What a command prints. Raises AssertionError, with all that was said, if it fails."""
        return self._run([str(BIN / "capstan"), *map(str, arguments)])

    def capstan_json(self, *arguments: str | Path) -> Any:
        return json.loads(self.capstan(*arguments, "--json"))

    def shell(self, script: str, keyboard: str = "") -> str:
        """What a script for `sh` prints; it ends at the first command that fails. `keyboard` is its standard input."""
        return self._run(["sh", "-euc", script], keyboard)

    def with_server(self, url: str, api_key: str) -> Terminal:
        """A terminal whose commands talk to a server."""
        return Terminal({**self.environment, "CAPSTAN_SERVER": url, "CAPSTAN_API_KEY": api_key})

    def _run(self, command: list[str], keyboard: str = "") -> str:
        done = subprocess.run(
            command, env=self.environment, input=keyboard, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done.stdout


class ServerProcess:
    """A `capstan serve` that answers at `url`."""

    def __init__(self, process: subprocess.Popen[str], url: str, output: IO[str]) -> None:
        self._process = process
        self._output = output
        self.url = url

    @property
    def pid(self) -> int:
        return self._process.pid

    def lines_until(self, start: str) -> list[str]:
        """What it prints up to and with the line that begins so."""
        lines = []
        for line in self._output:
            lines.append(line.rstrip("\n"))
            if line.startswith(start):
                return lines
        raise AssertionError(f"the server ended before it said {start!r}: {lines}")

    def wait_until_dead(self) -> None:
        """After somebody killed it."""
        assert self._process.wait(30) == -signal.SIGKILL

    def stop(self) -> int:
        """Ask it to stop, as a service manager does; its exit code."""
        self._process.terminate()
        return self._process.wait(30)


def log_of(data_dir: Path) -> Path:
    """Where the servers of a data directory wrote their logs."""
    return data_dir.with_name(f"{data_dir.name}.log")


@contextmanager
def serving(terminal: Terminal, data_dir: Path) -> Iterator[ServerProcess]:
    """Start a server on a free port, wait until it answers, kill it at the end if it still runs.

    Its log goes to `log_of` the data directory.
    """
    command = [str(BIN / "capstan"), "serve", "--data-dir", str(data_dir), "--port", "0"]
    log = log_of(data_dir)
    with (
        log.open("a") as errors,
        subprocess.Popen(
            command, env=terminal.environment, stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        try:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert first.startswith(_LISTENING), f"the server did not start: {first!r}\n{log.read_text()[-4000:]}"
            yield ServerProcess(process, first.removeprefix(_LISTENING).strip(), process.stdout)
        finally:
            if process.poll() is None:
                process.kill()
