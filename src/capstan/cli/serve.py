"""`capstan serve`: from nothing to a server that answers, in one command.

The port is taken first, then the stores are opened and migrated, then the first owner is made if there is none. The
address is printed when the first request would be answered, and only then the first owner's credentials.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable

import click

from capstan.access.principal import SystemPrincipal
from capstan.cli.credentials import credentials_text, origin, server_url
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.flags import Flags, SettingsCommand, read_settings, with_settings
from capstan.cli.listener import open_listener
from capstan.cli.server import Server
from capstan.cli.server_side import stores
from capstan.cli.tls import tls_fault
from capstan.cli.workers import run_workers
from capstan.settings import Settings
from capstan.setup.service import Credentials, first_start

FIRST_START = SystemPrincipal("first start")


@click.command(name="serve", cls=SettingsCommand)
@with_settings()
def command(**flags: str | None) -> None:
    """Start the server.

    The first start makes an owner, an organization and an API key, and shows them once. Every setting can also be an
    environment variable (CAPSTAN_DATA_DIR) or a line of the TOML file; secrets only there.
    """
    settings = read_settings(flags)
    fault = tls_fault(settings)
    if fault:
        raise Failure(fault, WRONG_USAGE)
    with open_listener(settings.host, settings.port) as listener:
        with stores(settings) as opened, opened.registry.write(FIRST_START) as session:
            credentials = first_start(session, opened.secret_box)
        code = _serve(settings, listener, flags, _announcement(settings, listener, credentials))
    sys.exit(code)


def _serve(settings: Settings, listener: socket.socket, flags: Flags, on_ready: Callable[[], None]) -> int:
    if settings.workers > 1:
        return run_workers(settings.workers, listener, flags, on_ready)
    return Server(settings, on_ready).answer(listener)


def _announcement(settings: Settings, listener: socket.socket, credentials: Credentials | None) -> Callable[[], None]:
    port = listener.getsockname()[1]
    text = f"listening on {origin(settings, settings.host, port)}\n"
    if credentials is not None:
        text += credentials_text(credentials, server_url(settings, port))

    def announce() -> None:
        try:
            click.echo(text, nl=False)
        except BrokenPipeError:
            # Nobody listens to what a server prints; it serves all the same.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    return announce
