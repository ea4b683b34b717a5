"""Publishing: an upload whose files are stored becomes a bundle, and perhaps what a channel offers, in one transaction.

Everything that can be refused before the bytes come is refused by `preflight`; `publish` asks it all again, for hours
may lie between the two. Until `publish` commits nobody sees anything of an upload; afterwards everybody sees all of it.

Two uploads of one version may race: each has stored its own zip under a key of its own, so neither harms the other,
and the first to publish has the name (docs/decisions/0009).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from capstan.access.check import allowed
from capstan.access.permissions import Permission
from capstan.access.principal import AppScope, Principal
from capstan.apps import service as apps
from capstan.bundles import service, store
from capstan.bundles.comparing import Comparison, compare
from capstan.bundles.policy import MAX_KEY_ID, check_encryption, check_version_name
from capstan.channels import service as channels
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem
from capstan.files.ingest import Ingested
from capstan.files.objects import ObjectStore
from capstan.updates.snapshot import ManifestFile


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What is said about a bundle before its zip comes.

    `channel` is to offer it from now on and is made if there is none of that name. With a `session_key` the zip is
    encrypted: then `checksum` is needed and taken as it is, for only devices can verify it. Without one it is the
    SHA-256 of the zip in hex, and compared if it is given.
    """

    app_id: str | None
    version: str | None
    channel: str | None = None
    checksum: str | None = None
    session_key: str | None = None
    key_id: str | None = None
    min_update_version: str | None = None
    link: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A new bundle with the files of its manifest, and what it changes against the one that devices had before."""

    bundle: RowMapping
    files: Sequence[ManifestFile]
    comparison: Comparison


def preflight(session: ReadSession, principal: Principal, release: Release) -> RowMapping:
    """The app to publish to. Raises every Problem that is certain without the zip, in the order of contract 16.3."""
    app_id = apps.checked_app_id(release.app_id)
    if not release.version:
        raise Problem("missing_version", "Missing version")
    if release.session_key and not release.checksum:
        raise Problem("missing_checksum", "An encrypted bundle needs the checksum that was made with it")
    check_version_name(release.version)
    if release.min_update_version:
        check_version_name(release.min_update_version)
    app = service.uploadable_app(session, principal, app_id)
    if len(release.key_id or "") > MAX_KEY_ID:
        raise Problem("cannot_create_bundle", f"key_id has more than {MAX_KEY_ID} characters")
    policy = store.encryption_policy(session, app["owner_org"])
    check_encryption(policy, session_key=release.session_key, key_id=release.key_id)
    if store.by_name(session, app_id, release.version) is not None:
        raise service.version_taken(app_id, release.version)
    if release.channel:
        _check_channel(session, principal, app, release.channel)
    return app


def publish(
    session: WriteSession, principal: Principal, release: Release, stored: Ingested, objects: ObjectStore
) -> Published:
    """Make the bundle of an upload. Raises as `preflight`, and `checksum_mismatch` or `upload_retryable` (503)."""
    # First of all, so that of two uploads of one version the second sees the first when it looks.
    session.lock_app(apps.checked_app_id(release.app_id))
    app = preflight(session, principal, release)
    _check_checksum(release, stored)
    _account_for(session, app["app_id"], stored, objects)
    bundle = service.insert(
        session,
        principal,
        app,
        {
            "name": release.version,
            "storage_provider": "r2",
            "r2_path": stored.zip_key,
            "size": stored.zip_size,
            "checksum": release.checksum if release.session_key else stored.zip_sha256,
            "session_key": release.session_key or None,
            "key_id": release.key_id or None,
            "min_update_version": release.min_update_version or None,
            "manifest_count": len(stored.files),
            "link": release.link or None,
            "comment": release.comment or None,
        },
    )
    files = sorted(stored.files, key=lambda file: file.file_name)
    if files:
        store.insert_manifest(session, bundle["id"], files)
        store.add_to_manifest_count(session, app["app_id"], 1)
    before = _offer(session, principal, app, release.channel, bundle) if release.channel else None
    comparison = compare(session, bundle, before or store.latest_before(session, bundle))
    return Published(bundle, files, comparison)


def _check_channel(session: ReadSession, principal: Principal, app: RowMapping, name: str) -> None:
    app_id = app["app_id"]
    channel = channels.find(session, app_id, name)
    if channel is None:
        # Whether the bundle may be put on it, the creation of the channel tells.
        if not allowed(principal, Permission.APP_CREATE_CHANNEL, _scope(app), session.now):
            raise Problem("cannot_access_app", "You can't create a channel", more={"app_id": app_id, "channel": name})
    elif not allowed(principal, Permission.CHANNEL_PROMOTE_BUNDLE, channels.scope_of(channel), session.now):
        more = {"app_id": app_id, "channel": name}
        raise Problem("cannot_promote_bundle", "You can't change the bundle of this channel", more=more)


def _offer(
    session: WriteSession, principal: Principal, app: RowMapping, name: str, bundle: RowMapping
) -> RowMapping | None:
    """Have a channel offer the bundle; gives the one that it offered before."""
    app_id = app["app_id"]
    channel = channels.find(session, app_id, name)
    if channel is None:
        # The first channel is the one for everybody. Whoever may only preview must not decide for everybody.
        promotes = allowed(principal, Permission.CHANNEL_PROMOTE_BUNDLE, _scope(app), session.now)
        public = promotes and not store.has_public_channel(session, app_id)
        channels.save(session, principal, app_id, name, {"version": bundle["name"], "public": public})
        return None
    channels.set_version(session, principal, channel, bundle)
    return store.by_id(session, app_id, channel["version"]) if channel["version"] is not None else None


def _check_checksum(release: Release, stored: Ingested) -> None:
    if release.session_key or not release.checksum or release.checksum.lower() == stored.zip_sha256:
        return
    raise Problem(
        "checksum_mismatch",
        "The zip that arrived is not the one whose SHA-256 was given",
        more={"given": release.checksum, "received": stored.zip_sha256},
    )


def _account_for(session: WriteSession, app_id: str, stored: Ingested, objects: ObjectStore) -> None:
    """Note every object of the bundle as in use now.

    An object that an earlier upload left was found while this one was stored. If nothing accounted for it, it may have
    been swept since; from here on it cannot be, so one more look is enough.
    """
    sizes = {file.s3_path: file.file_size for file in stored.files}
    unaccounted = set(stored.reused) - store.lock_known_objects(session, stored.reused)
    store.touch_objects(session, app_id, {**sizes, stored.zip_key: stored.zip_size})
    if len(objects.heads(unaccounted)) < len(unaccounted):
        raise Problem(
            "upload_retryable",
            "Files of an earlier upload went away meanwhile. Send the upload again.",
            status=503,
            more={"retryAfterSeconds": 1},
        )


def _scope(app: RowMapping) -> AppScope:
    return AppScope(app["owner_org"], app["app_id"])
