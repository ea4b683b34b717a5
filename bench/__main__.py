"""`python -m bench`: measure, print the tables, keep the raw figures; with `--write`, renew the documentation."""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import costs, machine, waits
from bench.costs import Effort
from bench.report import Report, as_markdown, cost_report, raw_costs, raw_waits, show, wait_report

HERE = Path(__file__).parent
RESULTS = HERE / "results"
PAGE = HERE.parent / "docs" / "benchmarks.md"

START = "<!-- made by `python -m bench --write`; what is written here is lost -->"
END = "<!-- end of what is made -->"

FSYNC_IN_MEMORY_MS = 0.01


@dataclass(frozen=True)
class Size:
    """How much of everything. `zips` for each of the two runs with uploads."""

    effort: Effort
    wait_seconds: float
    zips: int


FULL = Size(Effort(rounds=5, requests=8_000, known=(1, 10_000, 1_000_000)), wait_seconds=60, zips=4)
QUICK = Size(Effort(rounds=3, requests=2_000, known=(1, 10_000, 100_000)), wait_seconds=10, zips=1)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="about two minutes; too short to publish")
    parser.add_argument("--only", choices=("costs", "waits"), help="measure only CPU per request, or only waits")
    parser.add_argument("--folder", type=Path, help="where the servers' data goes: a folder on the disk to measure")
    parser.add_argument("--write", action="store_true", help="renew docs/benchmarks.md")
    asked = parser.parse_args()
    if asked.write and (asked.quick or asked.only):
        parser.error("only a whole run is written into the documentation")
    size = QUICK if asked.quick else FULL
    errors, tables = Console(stderr=True), Console(width=None if Console().is_terminal else 200)
    raw: dict[str, Any] = {"machine": machine.facts()}
    reports: list[Report] = []

    def say(text: str) -> None:
        errors.print(f"{datetime.now(UTC):%H:%M:%S} {text}", highlight=False)

    with tempfile.TemporaryDirectory(prefix="bench-", dir=asked.folder) as folder:
        raw["fsync_ms"] = machine.fsync_ms(Path(folder))
        if raw["fsync_ms"]["median"] < FSYNC_IN_MEMORY_MS:
            say("this folder lies in memory, where nothing is ever durable; name one on a disk with --folder")
        if asked.only != "waits":
            measured = costs.run(Path(folder) / "costs", size.effort, say)
            raw["costs"] = raw_costs(measured, size.effort)
            reports.append(cost_report(measured, size.effort))
        if asked.only != "costs":
            runs = waits.run(Path(folder) / "waits", size.wait_seconds, size.zips, say)
            raw["waits"] = raw_waits(runs)
            reports.append(wait_report(runs, size.wait_seconds))
    about = _about(raw)
    for report in reports:
        show(report, tables)
    tables.print(about, highlight=False)
    kept = _keep(raw)
    say(f"raw figures: {kept.relative_to(HERE.parent)}")
    if asked.write:
        _renew([f"{about} Raw figures: `{kept.relative_to(HERE.parent)}`.\n", *map(as_markdown, reports)])


def _about(raw: dict[str, Any]) -> str:
    facts, fsync = raw["machine"], raw["fsync_ms"]
    return (
        f"Measured on {datetime.now(UTC):%d %B %Y}: {facts['cpus']} processors ({facts['architecture']}), "
        f"{facts['system']}, Python {facts['python']}, SQLite {facts['sqlite']}; a small write with fsync takes "
        f"{fsync['median']:.2f} ms (p99 {fsync['p99']:.2f} ms); load average at the start {facts['load_average']}."
    )


def _keep(raw: dict[str, Any]) -> Path:
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{datetime.now(UTC):%Y-%m-%d}-{_commit()}.json"
    path.write_text(json.dumps(raw, indent=1) + "\n", encoding="utf-8")
    return path


def _commit() -> str:
    """The short name of the commit that is checked out, as far as that is known."""
    try:
        command = ("git", "-C", str(HERE), "rev-parse", "--short", "HEAD")
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _renew(made: list[str]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"docs/{PAGE.name} needs the markers {START} and {END}")
    text = "\n".join(made)
    PAGE.write_text(f"{before}{START}\n\n{text}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
