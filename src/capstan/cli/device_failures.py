"""`capstan device held-back` and `forgive`: bundles that failed on devices, on the server's machine.

A device is not offered again what failed on it (`failed_bundle_memory`); here an operator sees that, and ends it.
"""

from __future__ import annotations

from datetime import timedelta

import click

from capstan.cli.flags import WHERE_THE_DATA_IS, read_settings, with_settings
from capstan.cli.printing import as_json, plural, print_json, print_table
from capstan.cli.server_side import OPERATOR, stores
from capstan.rollouts import failures

_STORES = (*WHERE_THE_DATA_IS, "telemetry_database_url", "failed_bundle_memory")
_app = click.option("--app", "app_id", metavar="ID", required=True, help="The app.")


@click.command(name="held-back")
@_app
@as_json
@with_settings(_STORES)
def held_back(app_id: str, as_json: bool, **flags: str | None) -> None:
    """List the bundles that are not offered to devices on which they failed."""
    settings = read_settings(flags)
    memory = timedelta(seconds=settings.failed_bundle_memory)
    with stores(settings) as opened, opened.registry.read() as session:
        found = failures.held_back(session, opened.telemetry, OPERATOR, app_id, memory)
    if as_json:
        print_json(found)
    else:
        print_table(("BUNDLE", "DEVICES"), [(one.bundle or f"#{one.bundle_id}", one.devices) for one in found])


@click.command(name="forgive")
@click.argument("device_id")
@_app
@click.option("--bundle", metavar="VERSION", help="Only this bundle. [all that failed on the device]")
@as_json
@with_settings(_STORES)
def forgive(device_id: str, app_id: str, bundle: str | None, as_json: bool, **flags: str | None) -> None:
    """Have the device DEVICE_ID offered again what failed on it, from its next check on."""
    with stores(read_settings(flags)) as opened, opened.registry.read() as session:
        forgiven = failures.forgive(session, opened.telemetry, OPERATOR, app_id, device_id, bundle)
    if as_json:
        print_json({"device_id": device_id.lower(), "forgiven": forgiven})
    else:
        click.echo(f"Forgot {plural(forgiven, 'failure')} of the device {device_id.lower()}.")
