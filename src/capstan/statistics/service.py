"""Stored bytes by day, kept in the transaction that changes what is stored (contract: public 22, device 5.4).

Whatever adds a bundle, deletes one or changes the size of one says so here, so that at every commit the days of an app
add up to the sizes of its bundles that are not deleted.
"""

from __future__ import annotations

from capstan.db.session import WriteSession
from capstan.statistics import store


def storage_changed(session: WriteSession, app_id: str, org_id: str, delta_bytes: int) -> None:
    """Note that bundles of an app got so many bytes more on this day, or less if it is negative."""
    if delta_bytes:
        store.add_storage(session, org_id, app_id, session.now.date(), delta_bytes)


def app_deleted(session: WriteSession, app_id: str, org_id: str) -> None:
    """Note that everything of an app is about to go. The caller holds the app's lock."""
    storage_changed(session, app_id, org_id, -store.stored_bytes(session, app_id))
