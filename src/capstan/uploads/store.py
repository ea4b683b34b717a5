"""SQL of unfinished uploads, and what uploads ask about apps and bundles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, delete, exists, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_unless_there

from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import (
    app_versions,
    channels,
    manifest,
    orgs,
    stored_objects,
    upload_parts,
    uploads,
    used_upload_links,
)
from capstan.updates.snapshot import OrgPlan

_FINISHED = (~app_versions.c.deleted, app_versions.c.storage_provider != "r2-direct")
_SWEPT_AT_ONCE = 100
_AT_ONCE = 500


def find(session: ReadSession, key: str, *, lock: bool = False) -> RowMapping | None:
    """The upload of a key, expired or not. With `lock` nobody else changes it before this transaction ends."""
    query = select(uploads).where(uploads.c.key == key)
    return session.first(query.with_for_update() if lock else query)


def insert_upload(session: WriteSession, values: Mapping[str, Any]) -> RowMapping | None:
    """A new upload; None if another request has made one for the same key meanwhile."""
    # PostgreSQL's statement: SQLite took the same words for it, and SQLAlchemy writes it for both.
    new = insert_unless_there(uploads).values(dict(values)).on_conflict_do_nothing(index_elements=[uploads.c.key])
    return session.first(new.returning(uploads))


def update_upload(session: WriteSession, upload_id: str, values: Mapping[str, Any]) -> RowMapping:
    row = session.first(update(uploads).where(uploads.c.id == upload_id).values(dict(values)).returning(uploads))
    assert row is not None
    return row


def update_held(session: WriteSession, upload_id: str, owner: str, values: Mapping[str, Any]) -> bool:
    """Change an upload if this owner still holds it; whether it does."""
    held = update(uploads).where(uploads.c.id == upload_id, uploads.c.lock_owner == owner)
    return session.run(held.values(dict(values))) == 1


def delete_held(session: WriteSession, upload_id: str, owner: str) -> bool:
    """As `update_held`. The parts go with it."""
    held = delete(uploads).where(uploads.c.id == upload_id, uploads.c.lock_owner == owner)
    return session.run(held) == 1


def delete_upload(session: WriteSession, upload_id: str) -> None:
    session.run(delete(uploads).where(uploads.c.id == upload_id))


def expired(session: ReadSession) -> Sequence[RowMapping]:
    """Some of the uploads whose time is over; ask again until there are none."""
    over = select(uploads).where(uploads.c.expires_at <= session.now)
    return session.rows(over.order_by(uploads.c.expires_at).limit(_SWEPT_AT_ONCE))


def parts(session: ReadSession, upload_id: str) -> Sequence[RowMapping]:
    """What has arrived of an upload, from the beginning on."""
    return session.rows(
        select(upload_parts).where(upload_parts.c.upload_id == upload_id).order_by(upload_parts.c.start)
    )


def insert_part(session: WriteSession, upload_id: str, *, start: int, size: int, owner: str) -> None:
    session.run(insert(upload_parts).values(upload_id=upload_id, start=start, size=size, owner=owner))


def expect_object(session: WriteSession, app_id: str, key: str) -> None:
    """Account for an object that is about to be written, so that no clean-up takes it for forgotten."""
    expected = insert_unless_there(stored_objects).values(key=key, app_id=app_id, size=0, touched_at=session.now)
    session.run(
        expected.on_conflict_do_update(
            index_elements=[stored_objects.c.key], set_={"touched_at": expected.excluded.touched_at}
        )
    )


def forget_objects(session: WriteSession, keys: Sequence[str]) -> None:
    """Account no more for objects that were removed."""
    for start in range(0, len(keys), _AT_ONCE):
        session.run(delete(stored_objects).where(stored_objects.c.key.in_(keys[start : start + _AT_ONCE])))


def plan(session: ReadSession, org_id: str) -> OrgPlan:
    """What billing says about an organization."""
    row = session.first(select(orgs).where(orgs.c.id == org_id))
    assert row is not None, "an app's organization exists"
    return OrgPlan(
        customer_id=row["customer_id"],
        has_usage_credits=row["has_usage_credits"],
        trial_ends=row["trial_at"].date() if row["trial_at"] is not None else None,
        status=row["plan_status"],
        mau_exceeded=row["mau_exceeded"],
        bandwidth_exceeded=row["bandwidth_exceeded"],
        storage_exceeded=row["storage_exceeded"],
    )


def is_zip_of_finished_bundle(session: ReadSession, app_id: str, key: str) -> bool:
    bundle = exists().where(app_versions.c.app_id == app_id, app_versions.c.r2_path == key, *_FINISHED)
    return bool(session.scalar(select(bundle)))


def is_file_of_finished_bundle(session: ReadSession, key: str) -> bool:
    file = exists().where(manifest.c.s3_path == key, app_versions.c.id == manifest.c.app_version_id, *_FINISHED)
    return bool(session.scalar(select(file)))


def unfinished_bundle(session: ReadSession, app_id: str, name: str) -> RowMapping | None:
    """The bundle of this name if it waits for its files. Nobody else changes it before this transaction ends."""
    return session.first(
        select(app_versions)
        .where(
            app_versions.c.app_id == app_id,
            app_versions.c.name == name,
            app_versions.c.storage_provider == "r2-direct",
            ~app_versions.c.deleted,
        )
        .with_for_update()
    )


def bundle_by_id(session: ReadSession, bundle_id: int) -> RowMapping | None:
    return session.first(select(app_versions).where(app_versions.c.id == bundle_id))


def set_path(session: WriteSession, bundle_id: int, key: str) -> RowMapping:
    """Note under which key a bundle's zip will be; gives the row as it is then."""
    changed = update(app_versions).where(app_versions.c.id == bundle_id)
    row = session.first(changed.values(r2_path=key, updated_at=session.now).returning(app_versions))
    assert row is not None
    return row


def is_linked(session: ReadSession, bundle_id: int) -> bool:
    """Whether a channel offers a bundle, as its stable one or for a rollout."""
    users = or_(channels.c.version == bundle_id, channels.c.rollout_version == bundle_id)
    return bool(session.scalar(select(exists().where(users))))


def delete_bundle(session: WriteSession, bundle_id: int) -> None:
    """Remove a bundle's row, so that its name is free again. Its manifest goes with it."""
    session.run(delete(app_versions).where(app_versions.c.id == bundle_id))


def is_used(session: ReadSession, link_id: str) -> bool:
    """Whether a link was used."""
    return bool(session.scalar(select(exists().where(used_upload_links.c.id == link_id))))


def use_link(session: WriteSession, link_id: str, expires_at: datetime) -> bool:
    """Note that a link is used; False if it was used before."""
    used = insert_unless_there(used_upload_links).values(id=link_id, expires_at=expires_at)
    return session.run(used.on_conflict_do_nothing()) == 1


def free_link(session: WriteSession, link_id: str) -> None:
    session.run(delete(used_upload_links).where(used_upload_links.c.id == link_id))


def forget_links(session: WriteSession) -> None:
    """Forget links that nobody could use any more."""
    session.run(delete(used_upload_links).where(used_upload_links.c.expires_at <= session.now))
