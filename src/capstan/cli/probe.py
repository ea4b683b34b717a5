"""`capstan probe`: be a device, ask for an update, and hear why the answer is what it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

import click

from capstan.cli.client import Client
from capstan.cli.connection import with_server
from capstan.cli.printing import as_json, plural, print_facts, print_json

PLUGIN_VERSION = "8.51.14"
"""A release of the updater plugin that knows all that the server can answer."""


# The options carry the names of an update check's members (contract: device 1.1).
@click.command(name="probe")
@click.option("--app", "app_id", metavar="ID", required=True, help="The app.")
@click.option("--platform", type=click.Choice(("android", "ios", "electron")), default="android", help="[android]")
@click.option(
    "--native",
    "--version-build",
    "version_build",
    default="1.0.0",
    metavar="VERSION",
    help="Its native version. [1.0.0]",
)
@click.option(
    "--running", "--version-name", "version_name", default="builtin", metavar="VERSION", help="What it runs. [builtin]"
)
@click.option("--channel", "defaultChannel", default="", metavar="NAME", help="Its default channel. [none]")
@click.option("--device-id", metavar="UUID", help="Which device it is. [a new one]")
@click.option(
    "--plugin",
    "--plugin-version",
    "plugin_version",
    default=PLUGIN_VERSION,
    metavar="VERSION",
    help=f"Its plugin. [{PLUGIN_VERSION}]",
)
@click.option("--key-id", metavar="TEXT", help="The encryption key that the app has. [none]")
@click.option("--prod/--dev", "is_prod", default=True, help="A production or a development build. [prod]")
@click.option("--emulator/--physical", "is_emulator", default=False, help="An emulator or a real one. [physical]")
@as_json
@with_server
def command(client: Client, /, as_json: bool, device_id: str | None, **about: object) -> None:
    """Be a device: ask for an update, and hear why.

    Prints the answer and the rules that led to it. Nothing of it is recorded on the server.
    """
    check = {**about, "device_id": device_id or str(uuid.uuid4())}
    check = {name: value for name, value in check.items() if value is not None}
    explained = client.send("POST", "/capstan/explain", check)
    if as_json:
        print_json({"check": check, **explained})
        return
    click.echo(f"{_device(check)} {_outcome(explained)}\n")
    print_facts(_shown(explained["answer"]))
    if explained["trace"]:
        click.echo("\nWhy:")
        for step in explained["trace"]:
            click.echo(f"  {'ok' if step['passed'] else 'no'}  {step['words']}")


def _device(check: Mapping[str, Any]) -> str:
    return (
        f"The {check['platform']} device {check['device_id']}, native version {check['version_build']}, "
        f"running {check['version_name']},"
    )


def _outcome(explained: Mapping[str, Any]) -> str:
    answer = explained["answer"]
    if "error" in answer:
        status = f" with status {explained['status']}" if explained["status"] != 200 else ""
        return f"gets no update: {answer['error']}{status}."
    if answer.get("version") == "builtin":
        return "is sent back to its native bundle."
    return f"gets the bundle {answer.get('version')}."


def _shown(answer: Mapping[str, Any]) -> dict[str, object]:
    """The answer on a few lines."""
    shown: dict[str, object] = {}
    for name, value in answer.items():
        if name == "manifest":
            shown[name] = plural(len(value), "file")
        elif not isinstance(value, (dict, list)):
            shown[name] = value
    return shown
