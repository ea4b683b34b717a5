"""What was measured, as tables: the same for the terminal, for the documentation, and raw for machines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable

from bench import waits
from bench.costs import SCENARIOS, Costs, Effort, Slice
from bench.numbers import median
from bench.waits import Waits

MEMORY_BUDGET_MB = 180.0

WITHIN, OVER, NO_BUDGET = "within", "over", "–"


@dataclass(frozen=True)
class Report:
    """A table with what must be said about it. The first column is text, the others align to the right."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def cost_report(costs: Costs, effort: Effort) -> Report:
    """The first two budgets."""
    durability, (memory_mb, peak_mb) = costs.durability, costs.memory_mb
    most = max(effort.known)
    return Report(
        "CPU of the server for each request, against a raw ASGI handler that decodes and echoes the same body",
        ("request", "known devices", "budget", "ratio", "lowest to highest", "µs", "yardstick µs", "req/s", "verdict"),
        tuple(_cost_row(slices) for slices in _grouped(costs.slices)),
        (
            f"Medians of {effort.rounds} rounds of {effort.requests:,} requests; one process, 64 connections.",
            f"Events answered: {durability.answered:,}; the server was killed the moment the last was answered. Then "
            f"the log held exactly these, but for {durability.wrong} devices ({_verdict(not durability.wrong)}).",
            f"Requests not answered with 200: {sum(len(one.cost.failed) for one in costs.slices)}.",
            f"Memory of the worker that knows {most:,} devices: {memory_mb:.0f} MB resident, at its highest "
            f"{peak_mb:.0f} MB; budget {MEMORY_BUDGET_MB:.0f} MB ({_verdict(memory_mb <= MEMORY_BUDGET_MB)}).",
        ),
    )


def wait_report(runs: Sequence[Waits], seconds: float) -> Report:
    """The third budget."""
    ingests = [f"{took:.0f} s" for run in runs for took in run.ingests]
    return Report(
        f"How long a device waits, in ms, when {waits.RATE:,.0f} requests a second come whatever happens",
        (
            *("load on", "requests", "errors", "dropped", "p50", "p99", "p99.9", "longest"),
            *("checks p99", "events p99", "load late p99", "fsync p50", "fsync p99", "CPU µs", "verdict"),
        ),
        tuple(_wait_row(run) for run in runs),
        (
            f"{waits.DEVICES:,} devices, {1 - waits.EVENT_SHARE:.0%} checks and {waits.EVENT_SHARE:.0%} events, one "
            f"worker, up to {seconds:.0f} seconds each.",
            f"Budget: p99 below {waits.BUDGET_MS:.0f} ms, no error, nothing dropped.",
            "While it ingests, only requests that were due during an upload count. Zips of 50 MB and 3,000 files took "
            f"{', '.join(ingests) or 'nothing'}.",
            "A fleet preview is part of this budget and does not exist yet: not measured.",
        ),
    )


def show(report: Report, console: Console) -> None:
    """Print a report to the terminal."""
    table = RichTable(title=report.title, title_justify="left")
    for number, heading in enumerate(report.headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in report.rows:
        style = "bold red" if row[-1] == OVER else None
        table.add_row(*row, style=style)
    console.print(table)
    for note in report.notes:
        console.print(f"  {note}", highlight=False)
    console.print()


def as_markdown(report: Report) -> str:
    """The same for a page of the documentation; ends with a newline."""
    lines = [f"**{report.title}**", "", _line(report.headings)]
    lines.append(_line(["---", *["---:"] * (len(report.headings) - 1)]))
    lines += [_line([*row[:-1], f"**{row[-1]}**" if row[-1] == OVER else row[-1]]) for row in report.rows]
    lines += ["", *(f"- {note}" for note in report.notes)]
    return "\n".join(lines) + "\n"


def raw_costs(costs: Costs, effort: Effort) -> dict[str, Any]:
    """Every slice of every round."""
    return {
        "effort": asdict(effort),
        "durability": asdict(costs.durability),
        "memory_mb": {"resident": round(costs.memory_mb[0], 1), "highest": round(costs.memory_mb[1], 1)},
        "slices": [
            {
                "request": one.scenario.name,
                "known": one.known,
                "budget": one.scenario.budget,
                "cpu_us": round(one.cost.cpu_us, 2),
                "yardstick_us": round(one.baseline_us, 2),
                "per_second": round(one.cost.per_second),
                "failed": len(one.cost.failed),
            }
            for one in costs.slices
        ],
    }


def raw_waits(runs: Iterable[Waits]) -> list[dict[str, Any]]:
    """Every run; waits by percentile."""
    return [{**asdict(run), "percents": waits.PERCENTS, "cpu_us": round(run.cpu_us, 2)} for run in runs]


def _grouped(slices: Sequence[Slice]) -> Iterable[list[Slice]]:
    for scenario in SCENARIOS:
        of_scenario = [one for one in slices if one.scenario is scenario]
        for known in sorted({one.known for one in of_scenario}):
            yield [one for one in of_scenario if one.known == known]


def _cost_row(slices: Sequence[Slice]) -> tuple[str, ...]:
    first = slices[0]
    budget = first.scenario.budget
    ratios = [one.ratio for one in slices]
    return (
        first.scenario.name,
        f"{first.known:,}",
        f"{budget:.0f} ×" if budget is not None else NO_BUDGET,
        f"{median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
        f"{median([one.cost.cpu_us for one in slices]):.1f}",
        f"{median([one.baseline_us for one in slices]):.1f}",
        f"{median([one.cost.per_second for one in slices]):,.0f}",
        _verdict(median(ratios) <= budget) if budget is not None else NO_BUDGET,
    )


def _wait_row(run: Waits) -> tuple[str, ...]:
    at_p99 = waits.PERCENTS.index(99.0)
    is_within = run.p99 < waits.BUDGET_MS and not run.errors and not run.dropped
    return (
        run.name,
        f"{run.requests:,}",
        f"{run.errors}",
        f"{run.dropped}",
        *(f"{wait:.1f}" for wait in run.all),
        f"{run.checks[at_p99]:.1f}",
        f"{run.events[at_p99]:.1f}",
        f"{run.late[at_p99]:.1f}",
        f"{run.fsync['median']:.2f}",
        f"{run.fsync['p99']:.2f}",
        f"{run.cpu_us:.0f}",
        _verdict(is_within) if run.has_budget else NO_BUDGET,
    )


def _verdict(is_within: bool) -> str:
    return WITHIN if is_within else OVER


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
