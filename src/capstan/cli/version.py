"""`capstan version`."""

from __future__ import annotations

import click

from capstan import __version__


@click.command(name="version")
def command() -> None:
    """Print the version of this program."""
    click.echo(__version__)
