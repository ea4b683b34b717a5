"""What devices reported about a rollout's bundle, read from the event log (contract: device 6.4).

Installs and failures are the log rows that count as such for the bundle on the channel. To these failures come devices
that broke down afterwards: after an install of the bundle on this channel they reported a crash, a launch that took too
long, or a web view that died, while running it. Each of them is one failure however often it crashes, its install of
the same window counts as failed and not as both, and a device whose failure the log holds already is not counted again
(docs/decisions/0012). Times are those of the log, the server's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, Select, exists, func, select, text

from capstan.telemetry.tables import OUTCOMES, TROUBLE, events


@dataclass(frozen=True, slots=True)
class RolloutQuestion:
    """Which bundle (by name) on which channel, since when (epoch milliseconds, inclusive)."""

    app_id: str
    version_name: str
    channel_id: int
    since_ms: int


@dataclass(frozen=True, slots=True)
class Reported:
    """Installs that held, and failures. Together they are the attempts."""

    installs: int
    failures: int


def reported(engine: Engine, asked: RolloutQuestion) -> Reported:
    """Count what came in since the moment that is asked about."""
    with engine.connect() as connection, connection.begin():
        # In this order: what the second statement sees contains what the first has seen.
        broken, undone = connection.execute(_broken_down(asked)).one()
        counted: dict[str, int] = {row.usage: row.rows for row in connection.execute(_outcomes(asked))}
    return Reported(counted.get("install", 0) - undone, counted.get("fail", 0) + broken)


def _outcomes(asked: RolloutQuestion) -> Select[Any, int]:
    return (
        select(events.c.usage, func.count().label("rows"))
        .where(
            text(OUTCOMES),
            events.c.app_id == asked.app_id,
            events.c.usage_version == asked.version_name,
            events.c.channel_id == asked.channel_id,
            events.c.created_at >= asked.since_ms,
        )
        .group_by(events.c.usage)
    )


def _broken_down(asked: RolloutQuestion) -> Select[int, int]:
    """How many devices broke down, and how many of them had installed the bundle within the window."""
    troubled = (
        select(events.c.device_id, func.max(events.c.created_at).label("troubled_at"))
        .where(
            text(TROUBLE),
            events.c.app_id == asked.app_id,
            events.c.version_name == asked.version_name,
            events.c.created_at >= asked.since_ms,
        )
        .group_by(events.c.device_id)
        .subquery("troubled")
    )
    own = events.alias("own")
    of_device = (
        own.c.app_id == asked.app_id,
        own.c.device_id == troubled.c.device_id,
        own.c.usage_version == asked.version_name,
        own.c.channel_id == asked.channel_id,
    )
    installed_at = (
        select(func.max(own.c.created_at))
        .where(*of_device, own.c.usage == "install", own.c.created_at <= troubled.c.troubled_at)
        .scalar_subquery()
    )
    failed = exists().where(*of_device, own.c.usage == "fail", own.c.created_at >= asked.since_ms)
    broken = select(installed_at.label("installed_at")).select_from(troubled).where(~failed).subquery("broken")
    return (
        select(func.count(), func.count().filter(broken.c.installed_at >= asked.since_ms))
        .select_from(broken)
        .where(broken.c.installed_at.is_not(None))
    )
