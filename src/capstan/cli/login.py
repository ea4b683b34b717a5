"""`capstan login`: remember a server and a key, once both are known to work."""

from __future__ import annotations

import os
import sys

import click

from capstan.cli.client import Client, checked_server
from capstan.cli.connection import KEY_VARIABLE, SERVER_VARIABLE
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.login_file import Login, login_file, write_login


@click.command(name="login")
@click.option("--server", metavar="URL", help=f"The server. [{SERVER_VARIABLE}]")
@click.option("--key", metavar="KEY", help=f"The API key. [{KEY_VARIABLE}, or asked for]")
def command(server: str | None, key: str | None) -> None:
    """Remember a server and an API key for later commands, after trying them.

    Without --key the key is asked for, or read from standard input, so that nobody else can see it.
    """
    server = server or os.environ.get(SERVER_VARIABLE)
    if not server:
        raise Failure(f"Which server? Give --server or set {SERVER_VARIABLE}.", WRONG_USAGE)
    login = Login(checked_server(server), key or os.environ.get(KEY_VARIABLE) or _asked_key())
    with Client(login.server, login.key) as client:
        organizations = [one["name"] for one in client.every("/organization")]
    file = login_file(os.environ)
    try:
        write_login(file, login)
    except OSError as fault:
        raise Failure(f"{file} cannot be written: {fault.strerror}.") from None
    where = f" for {', '.join(organizations)}" if organizations else ""
    click.echo(f"Logged in to {login.server}{where}; kept in {file}.")


def _asked_key() -> str:
    if sys.stdin.isatty():
        key: str = click.prompt("API key", hide_input=True, err=True)
    else:
        key = sys.stdin.readline()
    if not key.strip():
        raise Failure("No API key was given.", WRONG_USAGE)
    return key.strip()
