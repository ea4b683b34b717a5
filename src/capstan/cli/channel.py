"""`capstan channel`."""

from __future__ import annotations

from typing import Any

import click

from capstan.cli.client import Client
from capstan.cli.connection import with_server
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.printing import as_json, print_json, print_table

_POLICIES = ("major", "minor", "patch", "version_number", "none")
_HEADINGS = ("CHANNEL", "BUNDLE", "PUBLIC", "PLATFORMS", "POLICY", "ROLLOUT")
_app = click.option("--app", "app_id", metavar="ID", required=True, help="The app.")


@click.group(name="channel")
def command() -> None:
    """Channels: which bundle is offered to whom."""


@command.command(name="list")
@_app
@as_json
@with_server
def list_channels(client: Client, app_id: str, as_json: bool) -> None:
    """List the channels of an app."""
    channels = list(client.every("/channel", app_id=app_id))
    if as_json:
        print_json(channels)
    else:
        print_table(_HEADINGS, map(_row, channels))


# The options carry the names of the API's members (contract: public 14.2).
@command.command(name="set")
@click.argument("name")
@_app
@click.option(
    "--bundle", "--version", "version", metavar="VERSION", help="The bundle that it offers; builtin for the native one."
)
@click.option("--public/--private", default=None, help="Whether devices that name no channel get it.")
@click.option("--ios/--no-ios", default=None, help="Whether it is for iOS.")
@click.option("--android/--no-android", default=None, help="Whether it is for Android.")
@click.option("--electron/--no-electron", default=None, help="Whether it is for Electron.")
@click.option(
    "--self-set/--no-self-set", "allow_device_self_set", default=None, help="Whether devices may choose it themselves."
)
@click.option(
    "--policy",
    "disableAutoUpdate",
    type=click.Choice(_POLICIES),
    help="Which updates older versions do not get.",
)
@click.option(
    "--no-under-native/--under-native",
    "disableAutoUpdateUnderNative",
    default=None,
    help="Whether bundles below the native version are held back.",
)
@click.option("--rollout", "rolloutVersion", metavar="VERSION", help="The bundle to roll out to a part of the devices.")
@click.option(
    "--percent", "rolloutPercentage", type=click.FloatRange(0, 100), metavar="N", help="To how many, from 0 to 100."
)
@click.option("--pause/--resume", "rolloutPaused", default=None, help="Whether the rollout waits.")
@click.option("--promote", "promoteToStable", is_flag=True, default=None, help="Offer the rollout's bundle to all.")
@click.option("--rollback", is_flag=True, default=None, help="Take the rollout back.")
@as_json
@with_server
def set_channel(client: Client, /, name: str, app_id: str, as_json: bool, **wishes: object) -> None:
    """Create the channel NAME, or change what is given of it."""
    wanted = {member: value for member, value in wishes.items() if value is not None}
    if "promoteToStable" in wanted and "rollback" in wanted:
        raise Failure("A rollout is either promoted or rolled back; give one of --promote and --rollback.", WRONG_USAGE)
    if wanted.keys() & {"rolloutVersion", "rolloutPercentage"}:
        wanted["rolloutEnabled"] = True
    client.send("POST", "/channel", {"app_id": app_id, "channel": name, **wanted})
    channel = client.get("/channel", app_id=app_id, channel=name)
    if as_json:
        print_json(channel)
    else:
        print_table(_HEADINGS, [_row(channel)])


def _row(channel: dict[str, Any]) -> tuple[object, ...]:
    return (
        channel["name"],
        channel["version"]["name"] if channel["version"] else "builtin",
        channel["public"],
        " ".join(platform for platform in ("android", "ios", "electron") if channel[platform]),
        channel["disableAutoUpdate"],
        _rollout(channel),
    )


def _rollout(channel: dict[str, Any]) -> str | None:
    target = channel["rollout_version_info"]
    if target is None:
        return None
    share = f"{target['name']} at {channel['rolloutPercentageBps'] / 100:g} %"
    if channel["rolloutPausedAt"]:
        return f"{share}, paused"
    return share if channel["rolloutEnabled"] else f"{share}, off"
