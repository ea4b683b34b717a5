"""Typing `capstan` and looking at everything that comes back: exit code, output, errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CAPSTAN = str(Path(sys.executable).with_name("capstan"))
LISTENING = "listening on "


def new_terminal(folder: Path) -> Typist:
    """Somebody in a folder who knows no server, whatever the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CAPSTAN_")}
    home = folder / "home"
    return Typist(folder, {**kept, "HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config")})


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """The one line on standard error of a command that failed; nothing else may be there."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        assert lines[0].startswith("Error: "), self.err
        assert lines[0].endswith("."), self.err
        return lines[0].removeprefix("Error: ")


@dataclass(frozen=True)
class Typist:
    """Types commands in one folder, with one environment."""

    folder: Path
    environment: Mapping[str, str]

    def type(self, *arguments: str | Path, stdin: str = "", **more: str) -> Ended:
        """Run a command to its end; `more` is added to the environment."""
        done = subprocess.run(
            [CAPSTAN, *map(str, arguments)],
            env={**self.environment, **more},
            cwd=self.folder,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def succeed(self, *arguments: str | Path, stdin: str = "") -> Ended:
        """Run a command that must end well."""
        ended = self.type(*arguments, stdin=stdin)
        assert ended.code == 0, ended
        return ended


@contextmanager
def serve(somebody: Typist, *arguments: str | Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server of somebody's folder `data`, on a free port unless `arguments` say otherwise, and the address that it
    printed."""
    log = somebody.folder / "server.log"
    with (
        log.open("a") as errors,
        subprocess.Popen(
            [CAPSTAN, "serve", "--data-dir", "data", "--port", "0", *map(str, arguments)],
            env=somebody.environment,
            cwd=somebody.folder,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line.startswith(LISTENING), log.read_text()
            yield process, line.removeprefix(LISTENING).strip()
        finally:
            if process.poll() is None:
                process.kill()


def write_build(folder: Path, *, note: str = "first", calls_ready: bool = True) -> Path:
    """A small web build with a page, a script and a few pictures."""
    (folder / "assets").mkdir(parents=True, exist_ok=True)
    ready = "CapacitorUpdater.notifyAppReady();" if calls_ready else ""
    (folder / "index.html").write_text('<!doctype html><script src="assets/app.js"></script>')
    (folder / "assets" / "app.js").write_text(f"{ready} // {note}\n")
    for number in range(5):
        (folder / "assets" / f"{number}.svg").write_text(f"<svg><circle r='{number}'/></svg>")
    return folder
