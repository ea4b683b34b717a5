"""`capstan jobs`: what the server does by itself, when it last did it, and how that ended."""

from __future__ import annotations

import click

from capstan.cli.flags import WHERE_THE_DATA_IS, read_settings, with_settings
from capstan.cli.printing import as_json, print_json, print_table
from capstan.cli.server_side import stores
from capstan.jobs import service
from capstan.jobs.service import LastRun

_MOMENT = "%Y-%m-%d %H:%M:%S"


@click.command(name="jobs")
@as_json
@with_settings(WHERE_THE_DATA_IS)
def command(as_json: bool, **flags: str | None) -> None:
    """List the periodic jobs with their last runs. Moments are in UTC."""
    with stores(read_settings(flags)) as opened, opened.registry.read() as session:
        runs = service.last_runs(session)
    if as_json:
        print_json(runs)
    else:
        print_table(("JOB", "LAST RUN", "OUTCOME", "NEXT", "DETAIL"), [_row(run) for run in runs])


def _row(run: LastRun) -> tuple[object, ...]:
    detail = ", ".join(f"{name} {value}" for name, value in run.detail.items() if value)
    ended = run.ended_at.strftime(_MOMENT) if run.ended_at is not None else None
    outcome = "running" if run.running else run.outcome
    return run.name, ended, outcome, run.due_at.strftime(_MOMENT), detail or None
