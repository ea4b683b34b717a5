"""SQL of channels, and of what is written with them: deployments, demotions, grants on a new channel."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, delete, insert, or_, select, true, update

from capstan.access.check import Visibility
from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import (
    app_versions,
    channel_devices,
    channel_self_choices,
    channels,
    deploy_history,
    orgs,
    role_bindings,
)

_stable = app_versions.alias("stable")
_target = app_versions.alias("target")
_WITH_BUNDLE_NAMES = (
    select(channels, _stable.c.name.label("version_name"), _target.c.name.label("rollout_version_name"))
    .join(_stable, _stable.c.id == channels.c.version, isouter=True)
    .join(_target, _target.c.id == channels.c.rollout_version, isouter=True)
)


def find(session: ReadSession, app_id: str, name: str) -> RowMapping | None:
    return session.first(select(channels).where(channels.c.app_id == app_id, channels.c.name == name))


def by_id(session: ReadSession, app_id: str, channel_id: int) -> RowMapping | None:
    return session.first(select(channels).where(channels.c.app_id == app_id, channels.c.id == channel_id))


def find_visible(session: ReadSession, seen: Visibility, app_id: str, name: str) -> RowMapping | None:
    """One channel with the names of its bundles, if it may be seen."""
    return session.first(_visible(seen, app_id).where(channels.c.name == name))


def page(session: ReadSession, seen: Visibility, app_id: str, *, offset: int, limit: int) -> Sequence[RowMapping]:
    """Channels that may be seen with the names of their bundles, oldest first."""
    oldest_first = _visible(seen, app_id).order_by(channels.c.created_at, channels.c.id)
    return session.rows(oldest_first.offset(offset).limit(limit))


def _visible(seen: Visibility, app_id: str) -> Select[Any]:
    query = _WITH_BUNDLE_NAMES.where(channels.c.app_id == app_id)
    covered = or_(
        channels.c.owner_org.in_(seen.org_ids),
        channels.c.app_id.in_(seen.app_ids),
        channels.c.rbac_id.in_(seen.channel_ids),
    )
    return query.where(true() if seen.everything else covered)


def lock_live_bundles(
    session: WriteSession, app_id: str, names: Collection[str], ids: Collection[int]
) -> Sequence[RowMapping]:
    """The bundles of an app with these names or ids that are not deleted, and will not be before the commit."""
    named = or_(app_versions.c.name.in_(names), app_versions.c.id.in_(ids))
    live = select(app_versions).where(app_versions.c.app_id == app_id, ~app_versions.c.deleted, named)
    return session.rows(live.order_by(app_versions.c.id).with_for_update(read=True))


def public_on(session: ReadSession, app_id: str, platforms: Collection[str]) -> Sequence[RowMapping]:
    """The public channels of an app that serve any of these platforms."""
    serving = or_(*(channels.c[platform] for platform in platforms))
    return session.rows(select(channels).where(channels.c.app_id == app_id, channels.c.public, serving))


def creator_of_org(session: ReadSession, org_id: str) -> str | None:
    creator: str | None = session.scalar(select(orgs.c.created_by).where(orgs.c.id == org_id))
    return creator


def insert_channel(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(channels).values(values).returning(channels))
    assert row is not None
    return row


def update_channel(session: WriteSession, channel_id: int, values: dict[str, Any]) -> RowMapping:
    row = session.first(update(channels).where(channels.c.id == channel_id).values(values).returning(channels))
    assert row is not None
    return row


def delete_channel(session: WriteSession, channel_id: int) -> tuple[int, int]:
    """Remove a channel; returns how many devices were forced onto it, and how many had chosen it themselves.

    The references take the rest away.
    """
    overrides = session.run(delete(channel_devices).where(channel_devices.c.channel_id == channel_id))
    choices = session.run(delete(channel_self_choices).where(channel_self_choices.c.channel_id == channel_id))
    session.run(delete(channels).where(channels.c.id == channel_id))
    return overrides, choices


def insert_deployment(session: WriteSession, values: dict[str, Any]) -> None:
    session.run(insert(deploy_history).values(values))


def insert_binding(session: WriteSession, values: dict[str, Any]) -> None:
    session.run(insert(role_bindings).values(values))
