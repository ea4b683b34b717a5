"""`capstan device export` and `forget`: what is known of one device, on the server's machine (docs/privacy.md)."""

from __future__ import annotations

from dataclasses import asdict

import click

from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.flags import WHERE_THE_DATA_IS, read_settings, with_settings
from capstan.cli.printing import as_json, print_facts, print_json
from capstan.cli.server_side import OPERATOR, stores
from capstan.devices import personal_data
from capstan.updates.fields import is_device_id

_STORES = (*WHERE_THE_DATA_IS, "telemetry_database_url")
_only_app = click.option("--app", "app_id", metavar="ID", help="Only of this app. [all apps]")


@click.command(name="export")
@click.argument("device_id")
@_only_app
@with_settings(_STORES)
def export(device_id: str, app_id: str | None, **flags: str | None) -> None:
    """Print what is known of the device DEVICE_ID, as JSON."""
    device_id = _checked_id(device_id)
    with stores(read_settings(flags)) as opened:
        found = personal_data.known(opened.registry, opened.telemetry, device_id, app_id)
    if not found:
        raise _nothing_known(device_id)
    print_json({"device_id": device_id, "apps": found})


@click.command(name="forget")
@click.argument("device_id")
@_only_app
@as_json
@with_settings(_STORES)
def forget(device_id: str, app_id: str | None, as_json: bool, **flags: str | None) -> None:
    """Erase what is known of the device DEVICE_ID.

    Its row, its log, and where it was put go; counters stay. The server may run meanwhile. A device that goes on asking
    for updates is known again, as a new one.
    """
    device_id = _checked_id(device_id)
    with stores(read_settings(flags)) as opened:
        places, erased = personal_data.forget(opened.registry, opened.telemetry, OPERATOR, device_id, app_id)
    if not places and not erased.total:
        raise _nothing_known(device_id)
    facts = {"places": places, **asdict(erased)}
    if as_json:
        print_json({"device_id": device_id, "erased": facts})
    else:
        click.echo(f"Forgot the device {device_id}:")
        print_facts({name.replace("_", " "): count for name, count in facts.items()})


def _checked_id(device_id: str) -> str:
    if not is_device_id(device_id.lower()):
        raise Failure(f"{device_id!r} is not the id of a device, which is a UUID.", WRONG_USAGE)
    return device_id.lower()


def _nothing_known(device_id: str) -> Failure:
    return Failure(f"Nothing is known of the device {device_id}.")
