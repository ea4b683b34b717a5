"""Which server a command talks to and with which key: flags, then the environment, then `capstan login`.

A key that was stored for one server is never sent to another.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

import click

from capstan.cli.client import Client, checked_server
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.login_file import login_file, read_login

SERVER_VARIABLE = "CAPSTAN_SERVER"
KEY_VARIABLE = "CAPSTAN_API_KEY"

P = ParamSpec("P")
R = TypeVar("R")


def with_server(function: Callable[Concatenate[Client, P], R]) -> Callable[..., R]:
    """Give a command the flags `--server` and `--key`, and the client that they make as its first argument."""

    @click.option("--server", metavar="URL", help=f"The server. [{SERVER_VARIABLE}, or where you are logged in]")
    @click.option("--key", metavar="KEY", help=f"The API key. [{KEY_VARIABLE}, or the one you logged in with]")
    @wraps(function)
    def connected(server: str | None, key: str | None, *args: P.args, **kwargs: P.kwargs) -> R:
        with connect(server, key, os.environ) as client:
            return function(client, *args, **kwargs)

    return connected


def connect(server: str | None, key: str | None, environ: Mapping[str, str]) -> Client:
    """The client for what was given. Ends the command with exit code 2 where something is missing."""
    server = server or environ.get(SERVER_VARIABLE)
    key = key or environ.get(KEY_VARIABLE)
    login = None if server and key else read_login(login_file(environ))
    if not server:
        if login is None:
            raise Failure(
                f"Which server? Set {SERVER_VARIABLE} and {KEY_VARIABLE}, give --server and --key, or type "
                "`capstan login`.",
                WRONG_USAGE,
            )
        server = login.server
    if not key:
        if login is None or login.server != checked_server(server):
            raise Failure(
                f"There is no API key for {server}; set {KEY_VARIABLE}, give --key, or type `capstan login`.",
                WRONG_USAGE,
            )
        key = login.key
    return Client(server, key)
