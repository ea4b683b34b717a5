"""`capstan key`: API keys for an operator on the server's machine, who needs no key to make one."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import click
from sqlalchemy import RowMapping

from capstan.access.modes import KEY_MODES, key_mode
from capstan.access.principal import KeyMode
from capstan.apikeys import service as apikeys
from capstan.cli.flags import WHERE_THE_DATA_IS, read_settings, with_settings
from capstan.cli.printing import as_json, print_json, print_table
from capstan.cli.server_side import OPERATOR, stores
from capstan.db.session import ReadSession
from capstan.setup import service as setup


@click.group(name="key")
def command() -> None:
    """API keys, on the server's machine."""


@command.command(name="create")
@click.option("--mode", type=click.Choice(KEY_MODES), required=True, help="What the key may do.")
@click.option("--name", metavar="TEXT", help="What the key is for.")
@click.option("--expires-in-days", type=click.IntRange(1, 3650), metavar="N", help="When it ends. [never]")
@click.option("--organization", "org_id", metavar="ID", help="The organization it is for. [the first one]")
@click.option("--user", "email", metavar="EMAIL", help="Whom it belongs to. [the first owner]")
@as_json
@with_settings(WHERE_THE_DATA_IS)
def create(
    mode: str,
    name: str | None,
    expires_in_days: int | None,
    org_id: str | None,
    email: str | None,
    as_json: bool,
    **flags: str | None,
) -> None:
    """Make an API key for an organization, and print it."""
    settings = read_settings(flags)
    with stores(settings) as opened, opened.registry.write(OPERATOR) as session:
        user_id, org_id = _whose(session, email, org_id)
        key = apikeys.create_with_mode(
            session,
            opened.secret_box,
            user_id=user_id,
            org_id=org_id,
            mode=cast(KeyMode, mode),
            name=name,
            expires_at=session.now + timedelta(days=expires_in_days) if expires_in_days else None,
        )
    if as_json:
        facts = {"api_key": key.secret, "api_key_id": key.key_id, "name": key.name, "mode": mode}
        print_json({**facts, "organization_id": org_id, "user_id": user_id})
    else:
        click.echo(key.secret)


@command.command(name="revoke")
@click.argument("key_id", type=int)
@with_settings(WHERE_THE_DATA_IS)
def revoke(key_id: int, **flags: str | None) -> None:
    """Delete the API key with this id; it stops working at once."""
    settings = read_settings(flags)
    with stores(settings) as opened, opened.registry.write(OPERATOR) as session:
        apikeys.revoke(session, key_id)
    click.echo(f"The API key {key_id} is revoked.")


@command.command(name="list")
@as_json
@with_settings(WHERE_THE_DATA_IS)
def list_keys(as_json: bool, **flags: str | None) -> None:
    """List all API keys, without their secrets."""
    settings = read_settings(flags)
    with stores(settings) as opened, opened.registry.read() as session:
        keys = [_facts(session, row) for row in apikeys.all_keys(session)]
    if as_json:
        print_json(keys)
    else:
        print_table(("ID", "NAME", "MODE", "USER", "CREATED", "EXPIRES"), [tuple(key.values()) for key in keys])


def _facts(session: ReadSession, row: RowMapping) -> dict[str, object]:
    bindings = apikeys.bindings_of(session, row["rbac_id"])
    return {
        "id": row["id"],
        "name": row["name"],
        "mode": key_mode(row["mode"], bindings, session.now),
        "email": row["user_email"],
        "created_at": row["created_at"].isoformat(timespec="seconds"),
        "expires_at": row["expires_at"].isoformat(timespec="seconds") if row["expires_at"] else None,
    }


def _whose(session: ReadSession, email: str | None, org_id: str | None) -> tuple[str, str]:
    """The user and the organization of a new key: as asked, else the first ones."""
    home = setup.find_home(session)
    if home is None and not (email and org_id):
        raise setup.SetupRefused("Nothing is set up here yet; type `capstan setup`, or name --user and --organization.")
    user_id = setup.user_by_email(session, email)["id"] if email else ""
    found_org_id = setup.checked_org(session, org_id)["id"] if org_id else ""
    return user_id or (home.user_id if home else ""), found_org_id or (home.org_id if home else "")
