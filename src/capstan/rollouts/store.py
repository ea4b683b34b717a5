"""SQL of rollouts that are watched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import RowMapping, select, update

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import app_versions, channels


def watched(session: ReadSession, after_id: int, limit: int) -> Sequence[RowMapping]:
    """Channels with a running rollout that auto-pause watches, by id, with the name of the rollout's bundle."""
    running = (
        channels.c.rollout_enabled,
        channels.c.auto_pause_enabled,
        channels.c.rollout_percentage_bps > 0,
        channels.c.rollout_paused_at.is_(None),
    )
    return session.rows(
        select(channels, app_versions.c.name.label("rollout_version_name"))
        .join(app_versions, app_versions.c.id == channels.c.rollout_version)
        .where(*running, channels.c.id > after_id)
        .order_by(channels.c.id)
        .limit(limit)
    )


def note_checked(session: WriteSession, channel_ids: Collection[int], now: datetime) -> None:
    """Note that channels were looked at. One that is being changed right now is left to the next time."""
    free = (
        select(channels.c.id)
        .where(channels.c.id.in_(channel_ids))
        .order_by(channels.c.id)
        .with_for_update(skip_locked=True)
    )
    session.run(update(channels).where(channels.c.id.in_(free)).values(auto_pause_last_checked_at=now))
