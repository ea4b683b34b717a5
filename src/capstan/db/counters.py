"""The counts that an app's row keeps of what belongs to it, so that devices of an app without any need no look-up.

They are raised and lowered in the transaction that changes what they count (contract: device 0.5); the writer holds the
app's lock. They are derived, so no change of them enters the audit log.
"""

from __future__ import annotations

from sqlalchemy import and_, func, select, update

from capstan.db.session import WriteSession
from capstan.db.tables import app_versions, apps, channels


def count_device_state(
    session: WriteSession, app_id: str, *, overrides: int = 0, pins: int = 0, choices: int = 0
) -> None:
    """Note that rows of `channel_devices`, `device_pins` and `channel_self_choices` were added, or removed if negative.

    Whether the app has any is part of what makes a snapshot stale, so the first and the last of them are announced.
    """
    if not (overrides or pins or choices):
        return
    row = session.first(
        update(apps)
        .where(apps.c.app_id == app_id)
        .values(
            channel_device_count=apps.c.channel_device_count + overrides,
            device_pin_count=apps.c.device_pin_count + pins,
            channel_self_count=apps.c.channel_self_count + choices,
        )
        .returning((apps.c.channel_device_count + apps.c.device_pin_count + apps.c.channel_self_count).label("total"))
    )
    if row is not None and row["total"] in (0, overrides + pins + choices):
        session.notify_app(app_id)


def count_rollouts(session: WriteSession, app_id: str) -> None:
    """Count anew the channels with a running rollout, and name the bundles of the paused ones."""
    offered = and_(
        channels.c.app_id == app_id,
        channels.c.rollout_version.is_not(None),
        channels.c.rollout_enabled,
        channels.c.rollout_percentage_bps > 0,
    )
    running = session.scalar(
        select(func.count()).select_from(channels).where(offered, channels.c.rollout_paused_at.is_(None))
    )
    paused = session.rows(
        select(app_versions.c.name)
        .join(channels, channels.c.rollout_version == app_versions.c.id)
        .where(offered, channels.c.rollout_paused_at.is_not(None))
        .order_by(app_versions.c.name)
        .distinct()
    )
    counts = {
        "rollout_channel_count": running,
        "rollout_paused_version_names": [row["name"] for row in paused] or None,
    }
    session.run(update(apps).where(apps.c.app_id == app_id).values(counts))
