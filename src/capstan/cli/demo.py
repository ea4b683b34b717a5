"""`capstan demo`: a server, a small app in two versions and a fleet of simulated devices, live, in a temporary folder.

Everything is the real thing: another process serves, bundles are uploaded as `capstan bundle upload` does it, and the
devices follow the protocol. Nothing is left behind.
"""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import httpx
from rich.console import Console
from rich.live import Live

from capstan.cli.client import Client
from capstan.cli.demo_app import FIRST, NATIVE, SECOND, write_app
from capstan.cli.demo_fleet import DemoFleet
from capstan.cli.demo_server import DemoServer, demo_server
from capstan.cli.publishing import publish
from capstan.cli.web_build import WebBuild

APP_ID = "com.example.harbor"
CHANNEL = "production"
ROLLOUT_PERCENT = 25

_CHAPTER_SECONDS = 8
_FRAMES_A_SECOND = 8


@click.command(name="demo")
@click.option("--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="The server's port. [a free one]")
@click.option("--devices", type=click.IntRange(1, 500), default=36, metavar="N", help="How many devices. [36]")
@click.option("--seconds", type=click.FloatRange(1), metavar="N", help="How long it goes on. [until Ctrl-C]")
def command(port: int, devices: int, seconds: float | None) -> None:
    """See it work: a server, an app in two versions, and devices that update."""
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="capstan-demo-") as folder:
        asyncio.run(_until_told(_play(console, Path(folder), port, devices, seconds)))
    console.print("\nThe demo is over; nothing of it is left.")


async def _until_told(play: Coroutine[Any, Any, None]) -> None:
    """Run to the end, or until a signal comes."""
    playing = asyncio.create_task(play)
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, playing.cancel)
    with suppress(asyncio.CancelledError):
        await playing


async def _play(console: Console, folder: Path, port: int, devices: int, seconds: float | None) -> None:
    async with demo_server(folder / "server", port) as server, httpx.AsyncClient() as http:
        _invite(console, server)
        fleet = DemoFleet(server.url, APP_ID, folder / "devices", devices, http)
        with Client(server.url, server.key) as client:
            story = _story(_Releases(client, folder))
            _tell(console, fleet, await anext(story))
            with Live(fleet, console=console, refresh_per_second=_FRAMES_A_SECOND), suppress(TimeoutError):
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as group:
                    group.create_task(fleet.live())
                    await asyncio.sleep(_CHAPTER_SECONDS)
                    async for chapter in story:
                        _tell(console, fleet, chapter)
                        await asyncio.sleep(_CHAPTER_SECONDS)


def _tell(console: Console, fleet: DemoFleet, chapter: str) -> None:
    fleet.chapter = chapter
    if not console.is_terminal:
        # Where the board is drawn only once, at the end.
        console.print(chapter, soft_wrap=True)


async def _story(release: _Releases) -> AsyncIterator[str]:
    """What happens to the app, chapter by chapter; each is told when it has begun."""
    await asyncio.to_thread(release.publish, FIRST, CHANNEL)
    yield f"The store has {NATIVE}, and {FIRST} is published: devices fetch it at their next check."
    await asyncio.to_thread(release.publish, SECOND)
    await asyncio.to_thread(release.set_channel, rolloutVersion=SECOND, rolloutPercentage=ROLLOUT_PERCENT)
    yield f"{SECOND} is rolled out to {ROLLOUT_PERCENT} % of the devices; they fetch only files that changed."
    await asyncio.to_thread(release.set_channel, promoteToStable=True)
    yield f"{SECOND} is for everybody now. Where it fails, devices go back by themselves and are not offered it again."
    await asyncio.to_thread(release.set_channel, version=FIRST)
    yield f"Taken back: the channel offers {FIRST} again, which devices still have."
    await asyncio.to_thread(release.set_channel, version=SECOND)
    yield f"And {SECOND} again. The devices go on; stop with Ctrl-C."


def _invite(console: Console, server: DemoServer) -> None:
    console.print(f"A server listens on {server.url}. To look at it from another terminal:\n")
    console.print(f"  export CAPSTAN_SERVER={server.url} CAPSTAN_API_KEY={server.key}", soft_wrap=True)
    console.print(f"  capstan device list --app {APP_ID}\n")


class _Releases:
    """The team behind the app, with one server."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder
        organization = client.get("/organization")[0]["id"]
        client.send("POST", "/app", {"app_id": APP_ID, "name": "Harbor", "owner_org": organization})

    def publish(self, version: str, channel: str | None = None) -> None:
        build = WebBuild(write_app(version, self._folder / "builds" / version))
        release = {"app_id": APP_ID, "version": version, **({"channel": channel} if channel else {})}
        publish(self._client, build, release, _unwatched)

    def set_channel(self, **wanted: object) -> None:
        enabled = {"rolloutEnabled": True} if "rolloutVersion" in wanted else {}
        self._client.send("POST", "/channel", {"app_id": APP_ID, "channel": CHANNEL, **wanted, **enabled})


def _unwatched(_stage: str, _done: int, _total: int) -> None:
    """The board shows enough."""
