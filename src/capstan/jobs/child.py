"""Long work in a process of its own, so that the server's threads and its event loop stay free.

A task is a module with `run(request, report)`: the request's JSON in, progress reported as often as it likes, a
`msgspec.Struct` out. `run_in_child` starts it, `python -m capstan.jobs.child <module>` is what then runs. They speak
JSON lines: the request on the child's standard input; progress, then one result or error, on its standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import sys
import time
import traceback
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, Protocol, TypeVar, cast

import msgspec
import structlog

from capstan.errors import Problem
from capstan.jobs.progress import Progress, Report

log = structlog.get_logger(__name__)

MAX_LINE_BYTES = 256 << 20
"""The longest answer of a task, which the server takes into memory."""

GRACE_SECONDS = 5
_REPORT_SECONDS = 0.2
_NICENESS = 10

T = TypeVar("T", bound=msgspec.Struct)


class Task(Protocol):
    """What a task's module offers. `request` is JSON; a `Problem` that is raised reaches the caller as it is."""

    def run(self, request: bytes, report: Report) -> msgspec.Struct: ...


class Failure(msgspec.Struct):
    """A `Problem` on its way from the child."""

    code: str
    message: str
    status: int
    more: dict[str, Any]


_NOTHING = msgspec.Raw(b"")


class Line(msgspec.Struct, omit_defaults=True):
    """One line from the child; exactly one of these is set."""

    progress: Progress | None = None
    result: msgspec.Raw = _NOTHING
    error: Failure | None = None


_FAILED = Line(error=Failure("unknown_error", "Unknown error", 500, {}))


async def run_in_child(task: str, request: msgspec.Struct, result_type: type[T], on_progress: Report) -> T:
    """Run a task (its module's dotted name) and return what it returns; `on_progress` is called a few times a second.

    Raises the task's `Problem`, or `unknown_error` (500) if it fails otherwise; why is then in the log. If the caller
    is cancelled the child is told to stop and, after five seconds, killed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "capstan.jobs.child", task),
        stdin=PIPE,
        stdout=PIPE,
        limit=MAX_LINE_BYTES,
        # A Ctrl-C in the server's terminal reaches the server, which then stops its children in its own way.
        start_new_session=True,
    )
    try:
        answer = await _converse(process, request, on_progress)
        await process.wait()
    finally:
        await _end(process)
    if answer.error:
        raise Problem(answer.error.code, answer.error.message, status=answer.error.status, more=answer.error.more)
    return msgspec.json.decode(answer.result, type=result_type)


async def _converse(process: Process, request: msgspec.Struct, on_progress: Report) -> Line:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the child was started without pipes")
    process.stdin.write(msgspec.json.encode(request))
    # A child that died at once says why by its silence below.
    with contextlib.suppress(ConnectionError):
        await process.stdin.drain()
    process.stdin.close()
    async for text in process.stdout:
        line = msgspec.json.decode(text, type=Line)
        if line.progress:
            on_progress(line.progress)
        else:
            return line
    return _FAILED


async def _end(process: Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(GRACE_SECONDS):
            await process.wait()
    except TimeoutError:
        log.warning("child_killed", pid=process.pid)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def main(task: str, stdin: BinaryIO, stdout: BinaryIO) -> int:
    """The child's life: 0 if the task gave a result, 1 if it gave a `Problem` or failed."""
    try:
        module = cast(Task, importlib.import_module(task))
        request = stdin.read()
        if not request:
            # The server was killed before it could say what is to be done.
            return 1
        result = module.run(request, _reporter(stdout))
    except Problem as problem:
        _say(stdout, Line(error=Failure(problem.code, problem.message, problem.status, problem.more)))
        return 1
    except Exception:
        traceback.print_exc()
        _say(stdout, _FAILED)
        return 1
    _say(stdout, Line(result=msgspec.Raw(msgspec.json.encode(result))))
    return 0


def _reporter(stdout: BinaryIO) -> Report:
    """Passes on the first and last report of each stage, and no more than five a second in between."""
    last = Progress("", 0, 0)
    last_time = 0.0

    def report(progress: Progress) -> None:
        nonlocal last, last_time
        now = time.monotonic()
        if progress.stage == last.stage and progress.done < progress.total and now - last_time < _REPORT_SECONDS:
            return
        last, last_time = progress, now
        _say(stdout, Line(progress=progress))

    return report


def _say(stdout: BinaryIO, line: Line) -> None:
    try:
        stdout.write(msgspec.json.encode(line) + b"\n")
        stdout.flush()
    except BrokenPipeError:
        # The server is gone, so nobody wants the result; leaving this way cleans up and needs no traceback.
        raise SystemExit(1) from None


def _stop(_signal: int, _frame: object) -> NoReturn:
    # An exception, so that the task's `finally` blocks clean up behind it.
    raise SystemExit(143)


def _channel() -> BinaryIO:
    """Standard output for our lines only: whatever else prints goes to standard error."""
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel


def _stand_back() -> None:
    """Let devices come first, whoever else wants the processor."""
    os.nice(_NICENESS)
    # Where Linux shares processors out by session, niceness counts only within one, and this process has its own.
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICENESS), encoding="ascii")


def _start(run: Callable[[str, BinaryIO, BinaryIO], int]) -> int:
    signal.signal(signal.SIGTERM, _stop)
    _stand_back()
    return run(sys.argv[1], sys.stdin.buffer, _channel())


if __name__ == "__main__":
    sys.exit(_start(main))
