"""SQL of bundles, their manifests, and the objects they are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from msgspec.structs import asdict
from sqlalchemy import RowMapping, Select, and_, delete, exists, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or_update

from capstan.bundles.policy import EncryptionPolicy
from capstan.db.session import ReadSession, WriteSession
from capstan.db.tables import app_versions, apps, channels, manifest, orgs, stored_objects
from capstan.updates.snapshot import ManifestFile

_AT_ONCE = 500
_NEWEST_FIRST = (app_versions.c.created_at.desc(), app_versions.c.id.desc())


def page(
    session: ReadSession, app_id: str, *, name: str | None, bundle_id: int | None, offset: int, limit: int
) -> Sequence[RowMapping]:
    """Bundles that are not deleted, newest first; of one name or id only, if it is given."""
    query = _bundles(app_id).where(~app_versions.c.deleted)
    if name is not None:
        query = query.where(app_versions.c.name == name)
    if bundle_id is not None:
        query = query.where(app_versions.c.id == bundle_id)
    return session.rows(query.order_by(*_NEWEST_FIRST).offset(offset).limit(limit))


def by_name(session: ReadSession, app_id: str, name: str, *, lock: bool = False) -> RowMapping | None:
    """The bundle of this name, deleted or not. With `lock` nobody else changes it before this transaction ends."""
    return session.first(_locked(_bundles(app_id).where(app_versions.c.name == name), lock))


def by_id(session: ReadSession, app_id: str, bundle_id: int, *, lock: bool = False) -> RowMapping | None:
    """As `by_name`."""
    return session.first(_locked(_bundles(app_id).where(app_versions.c.id == bundle_id), lock))


def latest_before(session: ReadSession, bundle: RowMapping) -> RowMapping | None:
    """The newest finished bundle of the app that is older than this one and not deleted."""
    created_at, bundle_id = app_versions.c.created_at, app_versions.c.id
    same_moment = and_(created_at == bundle["created_at"], bundle_id < bundle["id"])
    older = _bundles(bundle["app_id"]).where(
        ~app_versions.c.deleted,
        app_versions.c.storage_provider != "r2-direct",
        or_(created_at < bundle["created_at"], same_moment),
    )
    return session.first(older.order_by(*_NEWEST_FIRST).limit(1))


def lock_live(session: WriteSession, app_id: str) -> Sequence[RowMapping]:
    """All bundles of an app that are not deleted."""
    return session.rows(_locked(_bundles(app_id).where(~app_versions.c.deleted).order_by(app_versions.c.id), lock=True))


def linked(session: ReadSession, app_id: str) -> set[int]:
    """The ids of the bundles that channels use, as their stable ones or for rollouts."""
    rows = session.rows(select(channels.c.version, channels.c.rollout_version).where(channels.c.app_id == app_id))
    return {bundle_id for row in rows for bundle_id in row.values() if bundle_id is not None}


def has_public_channel(session: ReadSession, app_id: str) -> bool:
    return bool(session.scalar(select(exists().where(channels.c.app_id == app_id, channels.c.public))))


def encryption_policy(session: ReadSession, org_id: str) -> EncryptionPolicy:
    row = session.first(
        select(orgs.c.enforce_encrypted_bundles, orgs.c.required_encryption_key).where(orgs.c.id == org_id)
    )
    assert row is not None
    return EncryptionPolicy(row["enforce_encrypted_bundles"], row["required_encryption_key"])


def manifests(session: ReadSession, bundle_ids: Collection[int]) -> Mapping[int, Sequence[ManifestFile]]:
    """The files of each of some bundles, in the order in which they were stored."""
    of_bundles = select(manifest).where(manifest.c.app_version_id.in_(bundle_ids))
    files = defaultdict(list)
    for row in session.rows(of_bundles.order_by(manifest.c.app_version_id, manifest.c.id)):
        file = ManifestFile(row["file_name"], row["file_hash"], row["s3_path"], row["file_size"])
        files[row["app_version_id"]].append(file)
    return files


def insert_bundle(session: WriteSession, values: dict[str, Any]) -> RowMapping:
    row = session.first(insert(app_versions).values(values).returning(app_versions))
    assert row is not None
    return row


def update_bundle(session: WriteSession, bundle_id: int, values: dict[str, Any]) -> RowMapping:
    changed = update(app_versions).where(app_versions.c.id == bundle_id).values(values)
    row = session.first(changed.returning(app_versions))
    assert row is not None
    return row


def insert_manifest(session: WriteSession, bundle_id: int, files: Collection[ManifestFile]) -> None:
    session.run(insert(manifest), [{"app_version_id": bundle_id, **asdict(file)} for file in files])


def delete_manifest(session: WriteSession, bundle_id: int) -> None:
    session.run(delete(manifest).where(manifest.c.app_version_id == bundle_id))


def add_to_manifest_count(session: WriteSession, app_id: str, bundles: int) -> None:
    """Raise (or lower) how many bundles of an app have a manifest."""
    count = apps.c.manifest_bundle_count + bundles
    session.run(update(apps).where(apps.c.app_id == app_id).values(manifest_bundle_count=count))


def set_last_version(session: WriteSession, app_id: str, name: str) -> None:
    session.run(update(apps).where(apps.c.app_id == app_id).values(last_version=name))


def lock_known_objects(session: WriteSession, keys: Collection[str]) -> set[str]:
    """Those of the keys that are accounted for. They cannot be swept before this transaction ends."""
    known: set[str] = set()
    for some in _slices(sorted(keys)):
        rows = select(stored_objects.c.key).where(stored_objects.c.key.in_(some)).order_by(stored_objects.c.key)
        known.update(row["key"] for row in session.rows(_locked(rows, lock=True)))
    return known


def touch_objects(session: WriteSession, app_id: str, sizes: dict[str, int]) -> None:
    """Account for objects (key → bytes) as written or found now."""
    # PostgreSQL's statement: SQLite took the same words for it, and SQLAlchemy writes it for both.
    new = insert_or_update(stored_objects)
    touched = new.on_conflict_do_update(
        index_elements=[stored_objects.c.key],
        set_={"size": new.excluded.size, "touched_at": new.excluded.touched_at},
    )
    # In one order, so that two releases that share files wait for each other instead of blocking each other.
    rows = [
        {"key": key, "app_id": app_id, "size": size, "touched_at": session.now} for key, size in sorted(sizes.items())
    ]
    session.run(touched, rows)


def _bundles(app_id: str) -> Select[Any]:
    return select(app_versions).where(app_versions.c.app_id == app_id)


def _locked(query: Select[Any], lock: bool) -> Select[Any]:
    return query.with_for_update() if lock else query


def _slices(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), _AT_ONCE):
        yield keys[start : start + _AT_ONCE]
