"""`capstan device`."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from typing import Any

import click

from capstan.cli.client import Client
from capstan.cli.connection import with_server
from capstan.cli.printing import as_json, print_json, print_table

_PAGE_SIZE = 1000


_ON_THE_SERVER = {
    "export": ("device_data", "export"),
    "forget": ("device_data", "forget"),
    "forgive": ("device_failures", "forgive"),
    "held-back": ("device_failures", "held_back"),
}
"""Name of each command, and the module and function that it is."""


class _Devices(click.Group):
    """Imports what works on the stores only when it is used: a client needs nothing of the server."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ON_THE_SERVER])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ON_THE_SERVER:
            return super().get_command(ctx, cmd_name)
        module, function = _ON_THE_SERVER[cmd_name]
        found: click.Command = getattr(import_module(f"capstan.cli.{module}"), function)
        return found


@click.group(name="device", cls=_Devices)
def command() -> None:
    """Devices: who runs what."""


@command.command(name="list")
@click.option("--app", "app_id", metavar="ID", required=True, help="The app.")
@click.option("--limit", type=click.IntRange(1), default=100, metavar="N", help="At most so many. [100]")
@as_json
@with_server
def list_devices(client: Client, app_id: str, limit: int, as_json: bool) -> None:
    """List the devices that have asked for updates of an app."""
    devices = list(islice(_devices(client, app_id, limit), limit))
    if as_json:
        print_json(devices)
    else:
        rows = [
            (
                device["device_id"],
                device["platform"],
                device.get("version_name"),
                device["version_build"],
                device["plugin_version"],
                device.get("channel"),
                device["updated_at"],
            )
            for device in devices
        ]
        print_table(("DEVICE", "PLATFORM", "BUNDLE", "NATIVE", "PLUGIN", "SET CHANNEL", "SEEN"), rows)


def _devices(client: Client, app_id: str, limit: int) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = client.get("/device", app_id=app_id, limit=min(limit, _PAGE_SIZE), cursor=cursor)
        yield from page["data"]
        cursor = page.get("nextCursor")
        if cursor is None:
            return
