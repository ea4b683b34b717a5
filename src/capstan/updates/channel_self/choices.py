"""Keeping the channels that devices chose themselves: state of one device, so it never moves the app's revision.

Whoever calls has decided that the choice may change, and in whose name.
"""

from __future__ import annotations

from capstan.db.counters import count_device_state
from capstan.db.session import WriteSession
from capstan.updates.channel_self import store


def keep(session: WriteSession, app_id: str, device_id: str, channel_id: int) -> None:
    """Make the channel the device's own choice, in place of any other. `device_id` in lower case."""
    session.lock_app(app_id)
    count_device_state(session, app_id, choices=store.put(session, app_id, device_id, channel_id))


def drop(session: WriteSession, app_id: str, device_id: str) -> None:
    """Forget the device's own choice, if it made one. `device_id` in lower case."""
    session.lock_app(app_id)
    count_device_state(session, app_id, choices=-store.remove(session, app_id, device_id))
