"""Wire shapes and routes of bundles (contract: public 16; what is below `/capstan` is this server's own)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import UNSET, Struct, UnsetType, field
from sqlalchemy import RowMapping

from capstan.apps.service import checked_app_id
from capstan.bundles import comparing, service
from capstan.bundles.comparing import Comparison
from capstan.errors import Problem
from capstan.updates.snapshot import ManifestFile
from capstan.web.endpoint import Done, Endpoint, ReadCall, WriteCall
from capstan.web.inputs import PAGE_SIZE, PageNumber


class BundleFile(Struct, frozen=True):
    """A file that devices fetch by itself. `file_hash` is of its original content."""

    file_name: str
    s3_path: str
    file_hash: str


class Bundle(Struct, frozen=True, kw_only=True):
    """A bundle row (contract: public 7.4, CD-10). `manifest` is null when devices can fetch the whole only."""

    id: int
    app_id: str
    name: str
    owner_org: str
    user_id: str | None
    created_at: datetime
    updated_at: datetime
    deleted: bool
    deleted_at: datetime | None
    external_url: str | None
    checksum: str | None
    session_key: str | None
    key_id: str | None
    storage_provider: str
    r2_path: str | None
    min_update_version: str | None
    native_packages: list[Any] | None
    manifest_count: int
    link: str | None
    comment: str | None
    cli_version: str | None
    created_by_apikey_rbac_id: str | None
    manifest: list[BundleFile] | None
    bucket_id: None
    seed_min_update_version: str | None = field(name="minUpdateVersion")


class BundleList(Struct, frozen=True):
    app_id: str | None = None
    page: PageNumber = 0
    version: str | None = None
    id: int | None = None


class BundleDeletion(Struct, frozen=True):
    app_id: str | None = None
    version: str | UnsetType | None = UNSET


class BundleCreation(Struct, frozen=True):
    app_id: str | None = None
    version: str | None = None
    external_url: str | None = None
    checksum: str | None = None
    session_key: str | None = None
    key_id: str | None = None


class BundleCreated(Struct, frozen=True):
    bundle: Bundle
    status: str = "success"


class BundleDeployment(Struct, frozen=True):
    app_id: str | None = None
    version_id: int | None = None
    channel_id: int | None = None


class BundleDeployed(Struct, frozen=True):
    message: str
    status: str = "success"


class BundleMetadata(Struct, frozen=True):
    app_id: str | None = None
    version_id: int | None = None
    link: str | UnsetType | None = UNSET
    comment: str | UnsetType | None = UNSET


class ComparedVersions(Struct, frozen=True):
    app_id: str | None = None
    version: str | None = None
    since: str | None = None


class BundleChanges(Struct, frozen=True):
    """What a bundle changes against an earlier one: names of files, and bytes that a device fetches.

    `since` is null, and everything is new, when there is no earlier bundle whose files are known.
    """

    since: str | None
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    unchanged: int
    download_bytes: int
    zip_bytes: int


_MADE_HERE = frozenset({"manifest", "bucket_id", "seed_min_update_version"})
_COLUMNS = tuple(name for name in Bundle.__struct_fields__ if name not in _MADE_HERE)


def to_wire(row: RowMapping, files: Sequence[ManifestFile] = ()) -> Bundle:
    """A bundle and the files of its manifest."""
    manifest = [BundleFile(file.file_name, file.s3_path, file.file_hash) for file in files]
    return Bundle(
        **{name: row[name] for name in _COLUMNS},
        manifest=manifest or None,
        bucket_id=None,
        seed_min_update_version=row["min_update_version"],
    )


def changes_to_wire(comparison: Comparison) -> BundleChanges:
    found = comparison.changes
    return BundleChanges(
        since=comparison.since,
        added=found.added,
        removed=found.removed,
        changed=found.changed,
        unchanged=found.unchanged,
        download_bytes=comparison.download_bytes,
        zip_bytes=comparison.zip_bytes,
    )


def get_bundles(call: ReadCall, given: BundleList) -> list[Bundle]:
    rows, files = service.list_bundles(
        call.session,
        call.principal,
        given.app_id,
        offset=given.page * PAGE_SIZE,
        limit=PAGE_SIZE,
        version=given.version or None,
        bundle_id=given.id,
    )
    return [to_wire(row, files.get(row["id"], ())) for row in rows]


def delete_bundles(call: WriteCall, given: BundleDeletion) -> Done:
    if given.version is UNSET:
        service.delete_unlinked(call.session, call.principal, given.app_id)
    else:
        service.delete(call.session, call.principal, given.app_id, given.version)
    return Done()


def post_bundle(call: WriteCall, given: BundleCreation) -> BundleCreated:
    app_id = checked_app_id(given.app_id)
    if not given.version:
        raise Problem("missing_version", "Missing version")
    if not given.external_url:
        raise Problem("missing_external_url", "Missing external_url")
    if not given.checksum:
        raise Problem("missing_checksum", "Missing checksum")
    new = service.ExternalBundle(
        app_id=app_id,
        version=given.version,
        external_url=given.external_url,
        checksum=given.checksum,
        session_key=given.session_key,
        key_id=given.key_id,
    )
    return BundleCreated(to_wire(service.create_external(call.session, call.principal, new)))


def put_bundle(call: WriteCall, given: BundleDeployment) -> BundleDeployed:
    if not given.app_id or not given.version_id or not given.channel_id:
        raise Problem("missing_required_fields", "Missing app_id, version_id or channel_id")
    bundle, channel = service.set_channel(
        call.session, call.principal, given.app_id, given.version_id, given.channel_id
    )
    return BundleDeployed(f"Bundle {bundle['name']} set to channel {channel['name']}")


def post_metadata(call: WriteCall, given: BundleMetadata) -> Done:
    if not given.app_id or not given.version_id:
        raise Problem("missing_required_fields", "Missing app_id or version_id")
    changes: dict[str, str | None] = {}
    if given.link is not UNSET:
        changes["link"] = given.link
    if given.comment is not UNSET:
        changes["comment"] = given.comment
    service.set_metadata(call.session, call.principal, given.app_id, given.version_id, changes)
    return Done()


def get_changes(call: ReadCall, given: ComparedVersions) -> BundleChanges:
    return changes_to_wire(
        comparing.compare_versions(call.session, call.principal, given.app_id, given.version, given.since)
    )


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/bundle",
        summary="List the bundles of an app",
        handler=get_bundles,
        input=BundleList,
        output=list[Bundle],
        errors=("missing_app_id", "invalid_app_id", "cannot_get_bundle"),
        permission="app.read_bundles",
    ),
    Endpoint(
        method="DELETE",
        path="/bundle",
        summary="Delete a bundle, or all that no channel uses",
        handler=delete_bundles,
        input=BundleDeletion,
        errors=(
            "missing_app_id",
            "invalid_app_id",
            "cannot_delete_bundle",
            "cannot_delete_version",
            "cannot_delete_linked_version",
            "cannot_delete_all_version",
        ),
        permission="bundle.delete",
        refusal="cannot_delete_all_version",
    ),
    Endpoint(
        method="POST",
        path="/bundle",
        summary="Register a bundle that is hosted elsewhere",
        handler=post_bundle,
        input=BundleCreation,
        output=BundleCreated,
        errors=(
            "missing_app_id",
            "invalid_app_id",
            "missing_version",
            "missing_external_url",
            "missing_checksum",
            "invalid_version_format",
            "cannot_create_bundle",
            "invalid_protocol",
            "encryption_required",
            "encryption_key_required",
            "encryption_key_mismatch",
            "version_already_exists",
        ),
        permission="app.upload_bundle",
        refusal="cannot_create_bundle",
    ),
    Endpoint(
        method="PUT",
        path="/bundle",
        summary="Have a channel offer a bundle",
        handler=put_bundle,
        input=BundleDeployment,
        output=BundleDeployed,
        errors=(
            "missing_required_fields",
            "invalid_app_id",
            "cannot_access_app",
            "cannot_find_version",
            "cannot_find_channel",
            "cannot_set_bundle_to_channel",
        ),
        permission="channel.promote_bundle",
        refusal="cannot_set_bundle_to_channel",
    ),
    Endpoint(
        method="POST",
        path="/bundle/metadata",
        summary="Set the link and the comment of a bundle",
        handler=post_metadata,
        input=BundleMetadata,
        errors=(
            "missing_required_fields",
            "invalid_app_id",
            "cannot_update_bundle_metadata",
            "cannot_find_version",
            "no_fields_to_update",
            "cannot_update_version_metadata",
        ),
        permission="app.upload_bundle",
        refusal="cannot_update_version_metadata",
    ),
    Endpoint(
        method="GET",
        path="/capstan/bundle/changes",
        summary="What a bundle changes against an earlier one",
        handler=get_changes,
        input=ComparedVersions,
        output=BundleChanges,
        errors=("missing_app_id", "invalid_app_id", "cannot_get_bundle", "missing_version", "cannot_find_version"),
        permission="app.read_bundles",
    ),
)
