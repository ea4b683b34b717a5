"""`capstan bundle`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from capstan.cli.client import Client, ServerRefused
from capstan.cli.connection import with_server
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.printing import as_json, plural, print_json, print_table, size
from capstan.cli.project import find_project
from capstan.cli.publishing import Watch, publish
from capstan.cli.web_build import WebBuild, open_build

_NAMES_SHOWN = 10
_STAGES = {"sending": "Sending", "checking": "Checking files", "storing": "Storing files"}
"""The stages that take long enough to be shown."""


@click.group(name="bundle")
def command() -> None:
    """Bundles: web builds that devices can get."""


@command.command(name="upload")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--app", "app_id", metavar="ID", help="The app. [the appId of the Capacitor configuration]")
@click.option("--channel", metavar="NAME", help="The channel that offers it from now on; made if there is none. [none]")
@click.option("--version", metavar="VERSION", help="The bundle's version. [the version in package.json]")
@click.option("--comment", metavar="TEXT", help="A comment that is kept with it.")
@click.option("--link", metavar="URL", help="A link that is kept with it.")
@click.option("--no-check", is_flag=True, help="Do not look whether notifyAppReady is called.")
@as_json
@with_server
def upload(
    client: Client, /, source: Path, app_id: str | None, version: str | None, no_check: bool, as_json: bool, **also: Any
) -> None:
    """Publish SOURCE, the folder that a web build makes or a zip of its content."""
    build = open_build(source)
    if not no_check and not build.calls_app_ready():
        click.echo(
            "Warning: no script calls notifyAppReady, so devices will take this bundle back after ten seconds; call "
            "CapacitorUpdater.notifyAppReady() when the app has started, or give --no-check.",
            err=True,
        )
    release = _release(build, app_id, version)
    release.update({name: text for name, text in also.items() if text})
    with _progress(quiet=as_json) as watch:
        answer = publish(client, build, release, watch)
    if as_json:
        print_json(answer)
    else:
        _tell(client, answer)


@command.command(name="list")
@click.option("--app", "app_id", metavar="ID", required=True, help="The app.")
@click.option("--limit", type=click.IntRange(1), default=50, metavar="N", help="At most so many. [50]")
@as_json
@with_server
def list_bundles(client: Client, app_id: str, limit: int, as_json: bool) -> None:
    """List the bundles of an app, the newest first."""
    bundles = list(islice(client.every("/bundle", app_id=app_id), limit))
    if as_json:
        print_json(bundles)
    else:
        print_table(("BUNDLE", "CREATED", "DELTA FILES", "CHECKSUM", "COMMENT"), map(_row, bundles))


def _row(bundle: dict[str, Any]) -> tuple[object, ...]:
    return (
        bundle["name"],
        bundle["created_at"][:16].replace("T", " "),
        bundle["manifest_count"],
        bundle["checksum"],
        bundle["comment"],
    )


def _release(build: WebBuild, app_id: str | None, version: str | None) -> dict[str, str]:
    """The app and version, found in the project where they are not given."""
    project = find_project(build.path if build.path.is_dir() else build.path.parent)
    app_id = app_id or project.app_id
    version = version or project.version
    if not app_id:
        raise Failure("Which app? No Capacitor configuration was found; name the app with --app.", WRONG_USAGE)
    if not version:
        raise Failure("Which version? No package.json with one was found; give it with --version.", WRONG_USAGE)
    return {"app_id": app_id, "version": version}


@contextmanager
def _progress(*, quiet: bool) -> Iterator[Watch]:
    """A bar for each stage, on standard error; nothing where nobody would see it move."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:
        tasks: dict[str, TaskID] = {}

        def watch(stage: str, done: int, total: int) -> None:
            if stage in _STAGES:
                task = tasks.get(stage)
                tasks[stage] = progress.add_task(_STAGES[stage], total=total) if task is None else task
                progress.update(tasks[stage], completed=done, total=total)

        yield watch


def _tell(client: Client, answer: dict[str, Any]) -> None:
    bundle, changed = answer["bundle"], answer["changed"]
    click.echo(f"Published {bundle['name']} of {bundle['app_id']}.")
    if changed["since"] is None:
        click.echo(f"It is the first one: {plural(answer['files'], 'file')}.")
    else:
        _tell_changes(changed)
    if answer["files"]:
        whole = f" instead of {size(changed['zip_bytes'])} for the whole" if changed["since"] else ""
        click.echo(f"A device fetches {size(changed['download_bytes'])}{whole}.")
    else:
        click.echo(f"A device fetches the whole zip, {size(changed['zip_bytes'])}.")
    if answer["channel"]:
        click.echo(_channel_words(client, bundle["app_id"], answer["channel"]))
    else:
        click.echo(
            f"No channel offers it yet; type: capstan channel set NAME --app {bundle['app_id']} "
            f"--bundle {bundle['name']}"
        )


def _tell_changes(changed: dict[str, Any]) -> None:
    counts = ", ".join(f"{len(changed[what])} {what}" for what in ("changed", "added", "removed"))
    click.echo(f"Against {changed['since']}: {counts}, {changed['unchanged']} unchanged.")
    marked = [(mark, name) for what, mark in _MARKS.items() for name in changed[what]]
    for mark, name in marked[:_NAMES_SHOWN]:
        click.echo(f"  {mark} {name}")
    if len(marked) > _NAMES_SHOWN:
        click.echo(f"  and {len(marked) - _NAMES_SHOWN} more")


_MARKS = {"changed": "~", "added": "+", "removed": "-"}


def _channel_words(client: Client, app_id: str, name: str) -> str:
    try:
        public = client.get("/channel", app_id=app_id, channel=name)["public"]
    except ServerRefused:
        # A key that may upload but not read channels.
        return f"The channel {name} offers it now."
    whom = "to every device that names no other" if public else "to devices that name it or are put on it"
    return f"The channel {name} offers it now, {whom}."
