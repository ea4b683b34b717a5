"""`capstan doctor`: whether everything that a server needs is there, and what to do if not."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import chain

import click

from capstan import logs
from capstan.cli.checkup import Finding, examine
from capstan.cli.failures import REFUSED
from capstan.cli.flags import SettingsCommand, read_settings, with_settings
from capstan.cli.printing import as_json, print_json


@click.command(name="doctor", cls=SettingsCommand)
@as_json
@with_settings()
def command(as_json: bool, **flags: str | None) -> None:
    """Say whether all that a server needs is there.

    Give the same settings as the server has. Each line says ok, or what to do; then the exit code is 1.
    """
    settings = read_settings(flags)
    # What is worth a warning is in the findings.
    logs.configure(replace(settings, log_level="error"))
    findings = []
    for finding in chain((Finding("settings", True, "all values are allowed"),), examine(settings)):
        findings.append(finding)
        if not as_json:
            click.echo(f"{'ok' if finding.ok else 'no'}  {finding.subject}: {finding.words}")
    if as_json:
        print_json(findings)
    if not all(finding.ok for finding in findings):
        sys.exit(REFUSED)
