"""`capstan user`: for an operator who is locked out."""

from __future__ import annotations

import click

from capstan.cli.flags import WHERE_THE_DATA_IS, read_settings, with_settings
from capstan.cli.printing import as_json, print_json
from capstan.cli.server_side import OPERATOR, stores
from capstan.cli.setup import read_password
from capstan.setup.service import reset_password


@click.group(name="user")
def command() -> None:
    """Users, on the server's machine."""


@command.command(name="reset-password")
@click.argument("email")
@click.option("--password-from-stdin", is_flag=True, help="Read the password instead of making one.")
@as_json
@with_settings(WHERE_THE_DATA_IS)
def reset(email: str, password_from_stdin: bool, as_json: bool, **flags: str | None) -> None:
    """Give the user EMAIL a new password."""
    settings = read_settings(flags)
    chosen = read_password() if password_from_stdin else None
    with stores(settings) as opened, opened.registry.write(OPERATOR) as session:
        user, made = reset_password(session, email, chosen)
        facts = {"user_id": user["id"], "email": user["email"], "password": made}
    if as_json:
        print_json(facts)
    elif made:
        click.echo(f"The new password of {facts['email']} is {made}")
    else:
        click.echo(f"{facts['email']} has the new password.")
