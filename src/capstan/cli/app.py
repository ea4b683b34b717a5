"""`capstan app`."""

from __future__ import annotations

import click

from capstan.cli.client import Client
from capstan.cli.connection import with_server
from capstan.cli.failures import WRONG_USAGE, Failure
from capstan.cli.printing import as_json, print_json, print_table

_PAGE_SIZE = 1000


@click.group(name="app")
def command() -> None:
    """Apps: add one, list them."""


@command.command(name="add")
@click.argument("app_id")
@click.option("--name", metavar="TEXT", help="What people call it. [the last part of APP_ID]")
@click.option("--organization", metavar="ID", help="Whom it belongs to. [the key's organization, if it has only one]")
@as_json
@with_server
def add(client: Client, app_id: str, name: str | None, organization: str | None, as_json: bool) -> None:
    """Create the app APP_ID, such as com.example.app: the appId of its Capacitor configuration."""
    owner = organization or _only_organization(client)
    body = {"app_id": app_id, "name": name or app_id.rpartition(".")[2], "owner_org": owner}
    app = client.send("POST", "/app", body)
    if as_json:
        print_json(app)
    else:
        click.echo(f"Created the app {app['app_id']}.")


@command.command(name="list")
@as_json
@with_server
def list_apps(client: Client, as_json: bool) -> None:
    """List the apps that the key can see."""
    apps = client.get("/app", limit=_PAGE_SIZE)
    if as_json:
        print_json(apps)
    else:
        rows = [(app["app_id"], app["name"], app["last_version"], app["created_at"][:10]) for app in apps]
        print_table(("APP", "NAME", "LAST BUNDLE", "CREATED"), rows)


def _only_organization(client: Client) -> str:
    organizations = list(client.every("/organization"))
    if len(organizations) == 1:
        only: str = organizations[0]["id"]
        return only
    if not organizations:
        raise Failure("The key belongs to no organization, so it cannot create an app.")
    known = ", ".join(f"{one['id']} ({one['name']})" for one in organizations)
    raise Failure(f"Name one organization with --organization: {known}.", WRONG_USAGE)
