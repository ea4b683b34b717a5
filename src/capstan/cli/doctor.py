"""`capstan doctor`: whether everything that a server needs is there, and what to do if not."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from itertools import chain

import click

from capstan import logs
from capstan.cli.checkup import Finding, examine
from capstan.cli.failures import REFUSED, WRONG_USAGE, Failure
from capstan.cli.flags import SettingsCommand, read_settings, with_settings
from capstan.cli.printing import as_json, print_json
from capstan.cli.reconciling import findings, reconcile_period

_DAY = click.DateTime(["%Y-%m-%d"])


@click.command(name="doctor", cls=SettingsCommand)
@click.option("--reconcile", is_flag=True, help="Compare the counters with the rows behind them instead.")
@click.option(
    "--from", "first", type=_DAY, metavar="DAY", help="The first day to compare, in UTC. [6 days before --to]"
)
@click.option("--to", "last", type=_DAY, metavar="DAY", help="The last day to compare. [today]")
@as_json
@with_settings()
def command(reconcile: bool, first: datetime | None, last: datetime | None, as_json: bool, **flags: str | None) -> None:
    """Say whether all that a server needs is there.

    Give the same settings as the server has. Each line says ok, or what to do; then the exit code is 1.

    With --reconcile, the counters of a period are counted anew from the event log, and each difference is named; the
    server may run meanwhile.
    """
    if (first or last) and not reconcile:
        raise Failure("--from and --to go with --reconcile.", WRONG_USAGE)
    settings = read_settings(flags)
    # What is worth a warning is in the findings.
    settings = replace(settings, log_level="error")
    logs.configure(settings)
    if reconcile:
        done = reconcile_period(settings, first and first.date(), last and last.date())
        found = _told(findings(done), quietly=as_json)
        result: object = done
    else:
        found = _told(chain((Finding("settings", True, "all values are allowed"),), examine(settings)), quietly=as_json)
        result = found
    if as_json:
        print_json(result)
    if not all(finding.ok for finding in found):
        sys.exit(REFUSED)


def _told(found: Iterable[Finding], *, quietly: bool) -> list[Finding]:
    """All of them; each is printed as soon as it is known, unless `quietly`."""
    told = []
    for finding in found:
        told.append(finding)
        if not quietly:
            click.echo(f"{'ok' if finding.ok else 'no'}  {finding.subject}: {finding.words}")
    return told
