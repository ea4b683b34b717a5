"""A task for child processes that does as it is told."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import msgspec

from capstan.errors import Problem
from capstan.jobs.progress import Progress, Report


class Order(msgspec.Struct):
    what: str
    folder: str = ""


class Done(msgspec.Struct):
    text: str


def run(request: bytes, report: Report) -> Done:
    order = msgspec.json.decode(request, type=Order)
    if order.what == "refuse":
        raise Problem("zip_damaged", "no good", status=418, more={"why": [1]})
    if order.what == "break":
        raise ZeroDivisionError
    if order.what == "die":
        os._exit(9)
    if order.what == "chat":
        sys.stdout.write("this is not for the server\n")
        sys.stdout.flush()
        os.write(1, b"nor is this\n")
    if order.what == "count":
        for done in range(1001):
            report(Progress("first", done, 1000))
        report(Progress("second", 0, 5))
    if order.what == "wait":
        _wait(Path(order.folder), report)
    return Done("x" * 100_000 if order.what == "long" else order.what)


def _wait(folder: Path, report: Report) -> None:
    (folder / "pid").write_text(str(os.getpid()))
    try:
        report(Progress("waiting", 0, 1))
        time.sleep(60)
    finally:
        (folder / "cleaned").touch()
