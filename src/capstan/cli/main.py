"""The command `capstan` and its groups. A command's module is imported when the command is used, so that each stays
quick and a client needs nothing of the server.
"""

from __future__ import annotations

from importlib import import_module

import click

from capstan import __version__
from capstan.cli.failures import EXIT_CODES

_COMMANDS = {
    "serve": "serve",
    "setup": "setup",
    "user": "user",
    "key": "key",
    "doctor": "doctor",
    "jobs": "jobs",
    "demo": "demo",
    "login": "login",
    "app": "app",
    "bundle": "bundle",
    "channel": "channel",
    "device": "device",
    "probe": "probe",
    "version": "version",
}
"""Name of each command and of its module, in the order of the help: on the server's machine, then from anywhere."""


class _Commands(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        module = _COMMANDS.get(cmd_name)
        if module is None:
            return None
        command: click.Command = import_module(f"capstan.cli.{module}").command
        return command


@click.command(
    name="capstan",
    cls=_Commands,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(version)s")
def main() -> None:
    """A self-hosted live-update server for Capacitor apps.

    serve, setup, user, key, doctor, jobs and device export, forget, forgive and held-back work on the server's machine
    and its data directory. The others talk to a server: they take its address and an API key from --server and --key,
    from CAPSTAN_SERVER and CAPSTAN_API_KEY, or from `capstan login`.
    """
