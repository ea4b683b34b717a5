"""SQL of what is removed from the registry because of its age."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, RowMapping, Table, delete, exists, select, tuple_, union, update
from sqlalchemy.dialects.postgresql import insert as insert_or_nothing

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import (
    app_versions,
    apps,
    audit_logs,
    channel_devices,
    channel_self_choices,
    channels,
    device_pins,
    doomed_objects,
    manifest,
    stored_objects,
)

DeviceKey = tuple[str, str]


def apps_after(session: ReadSession, app_id: str, limit: int) -> Sequence[RowMapping]:
    """Apps and their retention, by id."""
    query = select(apps.c.app_id, apps.c.retention).where(apps.c.app_id > app_id)
    return session.rows(query.order_by(apps.c.app_id).limit(limit))


def unlinked_bundles(session: ReadSession, app_id: str, before: datetime) -> Sequence[RowMapping]:
    """Bundles of an app made before a moment that no channel uses: `id`, `name`, and whether a device is `pinned`."""
    linked = exists().where(
        (channels.c.version == app_versions.c.id) | (channels.c.rollout_version == app_versions.c.id)
    )
    pinned = exists().where(device_pins.c.app_version_id == app_versions.c.id)
    old = select(app_versions.c.id, app_versions.c.name, pinned.label("pinned")).where(
        app_versions.c.app_id == app_id, ~app_versions.c.deleted, app_versions.c.created_at < before, ~linked
    )
    return session.rows(old.order_by(app_versions.c.id))


def bundles_deleted_before(session: ReadSession, before: datetime, after_id: int, limit: int) -> Sequence[RowMapping]:
    """Bundles that were deleted before a moment, by id."""
    gone = select(app_versions.c.id, app_versions.c.app_id, app_versions.c.name).where(
        app_versions.c.deleted, app_versions.c.deleted_at < before, app_versions.c.id > after_id
    )
    return session.rows(gone.order_by(app_versions.c.id).limit(limit))


def purge_bundle(session: WriteSession, bundle_id: int) -> int:
    """Remove a bundle's row with all that refers to it but channels; how many pins went with it."""
    pins = session.run(delete(device_pins).where(device_pins.c.app_version_id == bundle_id))
    session.run(delete(app_versions).where(app_versions.c.id == bundle_id))
    return pins


def apps_with_old_places(session: ReadSession, before: datetime) -> list[str]:
    """The apps with overrides or pins that were written last before a moment."""
    overrides = select(channel_devices.c.app_id).where(channel_devices.c.updated_at < before)
    pins = select(device_pins.c.app_id).where(device_pins.c.updated_at < before)
    both = union(overrides, pins).subquery()
    return [row["app_id"] for row in session.rows(select(both.c.app_id).order_by(both.c.app_id))]


def delete_old_overrides(session: WriteSession, app_id: str, before: datetime, limit: int) -> int:
    """Remove up to `limit` overrides of an app that were written last before a moment; how many there were."""
    return _delete_old(session, channel_devices, app_id, before, limit)


def delete_old_pins(session: WriteSession, app_id: str, before: datetime, limit: int) -> int:
    """As `delete_old_overrides`."""
    return _delete_old(session, device_pins, app_id, before, limit)


def _delete_old(session: WriteSession, table: Table, app_id: str, before: datetime, limit: int) -> int:
    old = select(table.c.device_id).where(table.c.app_id == app_id, table.c.updated_at < before).limit(limit)
    return session.run(delete(table).where(table.c.app_id == app_id, table.c.device_id.in_(old)))


def old_choices(session: ReadSession, before: datetime, after: DeviceKey, limit: int) -> list[DeviceKey]:
    """Devices whose own choice of a channel was made before a moment, by app and id."""
    key = tuple_(channel_self_choices.c.app_id, channel_self_choices.c.device_id)
    old = select(channel_self_choices.c.app_id, channel_self_choices.c.device_id).where(
        channel_self_choices.c.updated_at < before, key > after
    )
    rows = session.rows(old.order_by(channel_self_choices.c.app_id, channel_self_choices.c.device_id).limit(limit))
    return [(row["app_id"], row["device_id"]) for row in rows]


def delete_choices(session: WriteSession, app_id: str, device_ids: Collection[str], before: datetime) -> int:
    """Remove the choices of these devices, unless one was made anew since that moment; how many there were."""
    return session.run(
        delete(channel_self_choices).where(
            channel_self_choices.c.app_id == app_id,
            channel_self_choices.c.device_id.in_(device_ids),
            channel_self_choices.c.updated_at < before,
        )
    )


def audit_rows_after(session: ReadSession, after_id: int, limit: int) -> list[tuple[int, datetime]]:
    """Ids and moments of audit rows, in the order of their ids, which is that of time."""
    rows = session.rows(
        select(audit_logs.c.id, audit_logs.c.created_at)
        .where(audit_logs.c.id > after_id)
        .order_by(audit_logs.c.id)
        .limit(limit)
    )
    return [(row["id"], row["created_at"]) for row in rows]


def delete_audit_rows(session: WriteSession, first_id: int, last_id: int, before: datetime) -> int:
    return session.run(
        delete(audit_logs).where(audit_logs.c.id.between(first_id, last_id), audit_logs.c.created_at < before)
    )


def unneeded_objects(session: ReadSession, before: datetime, after_key: str, limit: int) -> Sequence[RowMapping]:
    """Objects that nothing refers to and that nobody touched since a moment, by key."""
    unneeded = select(stored_objects.c.key, stored_objects.c.app_id).where(
        _unneeded(before), stored_objects.c.key > after_key
    )
    return session.rows(unneeded.order_by(stored_objects.c.key).limit(limit))


def doom_objects(session: WriteSession, keys: Collection[str], before: datetime) -> int:
    """Account no more for those of the objects that are still unneeded, but note that they are to be removed."""
    still = session.rows(
        select(stored_objects)
        .where(stored_objects.c.key.in_(keys), _unneeded(before))
        .order_by(stored_objects.c.key)
        .with_for_update()
    )
    doomed = [
        {"key": row["key"], "app_id": row["app_id"], "size": row["size"], "doomed_at": session.now} for row in still
    ]
    if doomed:
        session.run(insert_or_nothing(doomed_objects).on_conflict_do_nothing(), doomed)
        session.run(delete(stored_objects).where(stored_objects.c.key.in_([row["key"] for row in doomed])))
    return len(doomed)


def doomed_after(session: ReadSession, after_key: str, limit: int) -> Sequence[RowMapping]:
    """Objects that are to be removed, by key."""
    some = select(doomed_objects).where(doomed_objects.c.key > after_key)
    return session.rows(some.order_by(doomed_objects.c.key).limit(limit))


def claim_doomed(session: WriteSession, rows: Collection[RowMapping]) -> set[str]:
    """Those of the keys that nothing accounts for, now kept away from uploads until this transaction ends.

    The claim is a row of `stored_objects`: an upload that wants to account for the same object waits for it. Keys that
    an upload accounts for again, or that another process has in hand, are missing from the result.
    """
    free = session.rows(
        select(doomed_objects)
        .where(doomed_objects.c.key.in_([row["key"] for row in rows]))
        .with_for_update(skip_locked=True)
    )
    claimed = set()
    # In Python's order, as uploads account for objects: whoever waits for the other then waits for one only.
    for row in sorted(free, key=lambda row: str(row["key"])):
        values = {"key": row["key"], "app_id": row["app_id"], "size": row["size"], "touched_at": session.now}
        if session.run(insert_or_nothing(stored_objects).values(values).on_conflict_do_nothing()):
            claimed.add(row["key"])
        else:
            forget_doomed(session, [row["key"]])
    return claimed


def referred_to(session: ReadSession, keys: Collection[str]) -> set[str]:
    """Those of the objects that a bundle or a manifest needs."""
    zips = select(app_versions.c.r2_path.label("key")).where(app_versions.c.r2_path.in_(keys), ~app_versions.c.deleted)
    files = select(manifest.c.s3_path).where(manifest.c.s3_path.in_(keys))
    return {row["key"] for row in session.rows(union(zips, files))}


def account_again(session: WriteSession, key: str, touched_at: datetime) -> None:
    """Have a claimed object kept after all, as touched at this moment."""
    session.run(update(stored_objects).where(stored_objects.c.key == key).values(touched_at=touched_at))


def drop_claims(session: WriteSession, keys: Collection[str]) -> None:
    session.run(delete(stored_objects).where(stored_objects.c.key.in_(keys)))


def forget_doomed(session: WriteSession, keys: Collection[str]) -> None:
    session.run(delete(doomed_objects).where(doomed_objects.c.key.in_(keys)))


def _unneeded(before: datetime) -> ColumnElement[bool]:
    in_manifest = exists().where(manifest.c.s3_path == stored_objects.c.key)
    in_bundle = exists().where(app_versions.c.r2_path == stored_objects.c.key, ~app_versions.c.deleted)
    return (stored_objects.c.touched_at < before) & ~in_manifest & ~in_bundle
