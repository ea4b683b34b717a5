"""SQL of the channels that devices chose themselves."""

from __future__ import annotations

from sqlalchemy import delete, insert, update

from capstan.db.session import WriteSession
from capstan.db.tables import channel_self_choices as choices


def put(session: WriteSession, app_id: str, device_id: str, channel_id: int) -> int:
    """Keep a device's choice; 1 if it had none before, else 0."""
    # Two statements instead of an upsert: whether the row is new must be known, and the app's lock keeps others away.
    of_device = (choices.c.app_id == app_id, choices.c.device_id == device_id)
    values = {"channel_id": channel_id, "updated_at": session.now}
    if session.run(update(choices).where(*of_device).values(values)):
        return 0
    return session.run(insert(choices).values({"app_id": app_id, "device_id": device_id, **values}))


def remove(session: WriteSession, app_id: str, device_id: str) -> int:
    """How many were removed, 0 or 1."""
    return session.run(delete(choices).where(choices.c.app_id == app_id, choices.c.device_id == device_id))
