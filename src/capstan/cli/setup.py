"""`capstan setup`: the first owner without a terminal, before a server starts or while one runs."""

from __future__ import annotations

import sys

import click
import msgspec

from capstan.cli.credentials import credentials_text, server_url
from capstan.cli.flags import WHERE_THE_DATA_IS, read_settings, with_settings
from capstan.cli.printing import as_json, print_json
from capstan.cli.server_side import OPERATOR, stores
from capstan.setup.service import Owner, claim


@click.command(name="setup")
@click.option("--email", metavar="ADDRESS", help="The owner's address. [owner@localhost]")
@click.option("--organization", metavar="NAME", help="The name of the organization. [My organization]")
@click.option("--password-from-stdin", is_flag=True, help="Read the password instead of making one.")
@as_json
@with_settings(WHERE_THE_DATA_IS)
def command(
    email: str | None, organization: str | None, password_from_stdin: bool, as_json: bool, **flags: str | None
) -> None:
    """Make the first owner and an API key, and print them.

    If a server has made them at its first start and nobody has claimed them yet, this gives the same owner a new
    password and another API key. It works while a server runs on the same data directory.
    """
    settings = read_settings(flags)
    password = read_password() if password_from_stdin else None
    with stores(settings) as opened, opened.registry.write(OPERATOR) as session:
        credentials = claim(session, opened.secret_box, Owner(email, organization, password))
    if as_json:
        print_json({**msgspec.to_builtins(credentials), "data_dir": str(settings.data_dir)})
    else:
        click.echo(credentials_text(credentials, server_url(settings)), nl=False)


def read_password() -> str:
    """The first line of standard input."""
    return sys.stdin.readline().rstrip("\r\n")
