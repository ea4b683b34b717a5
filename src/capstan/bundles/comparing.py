"""Which earlier bundle a bundle is compared with, and the comparison."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import RowMapping

from capstan.access.principal import Principal
from capstan.bundles import service, store
from capstan.bundles.changes import Changes, changes
from capstan.db.session import ReadSession
from capstan.errors import Problem


@dataclass(frozen=True, slots=True)
class Comparison:
    """`since` is the name of the earlier bundle, None if there is none whose files are known.

    `download_bytes` is what a device that has the earlier bundle fetches, `zip_bytes` what it fetches where it cannot
    fetch files one by one.
    """

    since: str | None
    changes: Changes
    download_bytes: int
    zip_bytes: int


def compare(session: ReadSession, bundle: RowMapping, before: RowMapping | None) -> Comparison:
    """Compare with an earlier bundle of the same app."""
    bundles = [one["id"] for one in (bundle, before) if one is not None]
    files = store.manifests(session, bundles)
    old = files.get(before["id"], ()) if before is not None else ()
    found = changes(old, files.get(bundle["id"], ()))
    return Comparison(
        since=before["name"] if before is not None and old else None,
        changes=found,
        download_bytes=found.download_bytes if bundle["manifest_count"] else bundle["size"],
        zip_bytes=bundle["size"] if bundle["r2_path"] else 0,
    )


def compare_versions(
    session: ReadSession, principal: Principal, app_id: str | None, version: str | None, since: str | None
) -> Comparison:
    """Compare two bundles by name; without `since`, with the one published before.

    Raises Problem `missing_app_id`, `invalid_app_id`, `cannot_get_bundle`, `missing_version` or `cannot_find_version`.
    """
    app_id = service.readable_app(session, principal, app_id)
    if not version:
        raise Problem("missing_version", "Missing version")
    bundle = _live(session, app_id, version)
    before = _live(session, app_id, since) if since else store.latest_before(session, bundle)
    return compare(session, bundle, before)


def _live(session: ReadSession, app_id: str, version: str) -> RowMapping:
    row = store.by_name(session, app_id, version)
    if row is None or row["deleted"]:
        raise Problem("cannot_find_version", "Cannot find version", more={"app_id": app_id, "version": version})
    return row
