"""The state of resumable uploads: begun, held by one request at a time, filled piece by piece, complete (device 4.3).

What has arrived is in the object store, in pieces; the registry says which ones count, how far the upload is and who
works on it. So any process can go on where another one stopped. Whoever holds an upload renews the hold; one that is
not renewed is taken for dead. Should the dead come back, every change that they try fails, for they hold it no more.

`received` reaches the whole length only with the commit that ends the upload: until the object is stored, a client
that asks must learn that something is missing.

Objects and pieces are accounted for before they are written. What a crash leaves behind is then an object that nothing
refers to, which the clean-up of objects removes.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import RowMapping

from capstan.bundles.store import touch_objects
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem
from capstan.files.keys import AppKey
from capstan.uploads import store
from capstan.uploads.admission import already_ready
from capstan.uploads.requests import Creation

EXPIRES_AFTER = timedelta(hours=24)
HOLD = timedelta(seconds=12)
"""How long a request may be silent before it is taken for dead. The command line tries again for 19 seconds."""


class UploadRefused(Exception):  # noqa: N818 - a refusal told to a client, not a programming error
    """A refusal that TUS clients get as plain text, not as one of our codes."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


class UploadBusy(Problem):
    """Another request works on this upload, or took it over."""

    def __init__(self) -> None:
        super().__init__(
            "upload_retryable",
            "Upload temporarily unavailable. Retry the upload request.",
            status=503,
            more={"retryAfterSeconds": 1},
        )


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an upload: where it begins, how long it is, and which request wrote it."""

    upload_id: str
    start: int
    size: int
    owner: str

    @property
    def key(self) -> str:
        """Where the piece lies in the object store."""
        return f"uploads/{self.upload_id}/{self.start:013d}-{self.owner}"


@dataclass(frozen=True, slots=True)
class Claim:
    """An upload that one request (`owner`) holds, as it was when that began."""

    upload_id: str
    key: AppKey
    owner: str
    length: int | None
    received: int
    checksum: str | None
    expires_at: datetime
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Begun:
    """What became of a POST. Without a claim there was an upload with content, which is gone now: `duplicate_upload`.

    `left` are pieces that no upload needs any more.
    """

    claim: Claim | None
    left: Sequence[Part] = ()


def current(session: ReadSession, key: str) -> RowMapping | None:
    """The unfinished upload of a key."""
    row = store.find(session, key)
    return row if row is not None and row["expires_at"] > session.now else None


def is_held(row: RowMapping, now: datetime) -> bool:
    """Whether a request works on an upload at the moment."""
    return row["lock_owner"] is not None and row["lock_until"] > now


def begin(session: WriteSession, key: AppKey, wanted: Creation | Problem, owner: str) -> Begun:
    """Begin an upload, in place of an empty or expired one for the same key. It is held if a body came along.

    `wanted` may be the refusal of the request's headers, which counts only if the key has no upload with content.
    """
    row = store.find(session, key.key, lock=True)
    alive = row is not None and row["expires_at"] > session.now
    if row is not None and alive and is_held(row, session.now):
        raise UploadBusy
    left = _parts(session, row) if row is not None else ()
    if row is not None and alive and row["received"]:
        store.delete_upload(session, row["id"])
        return Begun(None, left)
    if isinstance(wanted, Problem):
        raise wanted
    if row is not None:
        store.delete_upload(session, row["id"])
    held = wanted.has_body or wanted.length == 0
    new = store.insert_upload(
        session,
        {
            "id": uuid.uuid4().hex,
            "key": key.key,
            "app_id": key.app_id,
            "org_id": key.org_id,
            "length": wanted.length,
            "received": 0,
            "metadata": wanted.metadata,
            "checksum": wanted.checksum,
            "created_at": session.now,
            "expires_at": session.now + EXPIRES_AFTER,
            "lock_owner": owner if held else None,
            "lock_until": session.now + HOLD if held else None,
        },
    )
    if new is None:
        raise UploadBusy
    if held:
        store.expect_object(session, key.app_id, key.key)
    return Begun(_claim(session, key, new, owner), left)


def claim(
    session: WriteSession, key: AppKey, owner: str, *, offset: int | None, length: int | None, has_body: bool
) -> Claim:
    """Hold an upload to append to it. `length` is what the request says about it, if anything.

    Raises UploadRefused in the contract's words, or UploadBusy.
    """
    row = store.find(session, key.key, lock=True)
    if row is None or row["expires_at"] <= session.now:
        raise UploadRefused(404, "Not Found")
    if is_held(row, session.now):
        raise UploadBusy
    if offset != row["received"]:
        raise UploadRefused(409, "incorrect upload offset")
    if length is not None and row["length"] is not None and length != row["length"]:
        raise UploadRefused(400, "upload length cannot change")
    if not has_body:
        raise UploadRefused(400, "Must provide request body")
    held = {"lock_owner": owner, "lock_until": session.now + HOLD}
    row = store.update_upload(session, row["id"], held if length is None else {**held, "length": length})
    store.expect_object(session, key.app_id, key.key)
    return _claim(session, key, row, owner)


def renew(session: WriteSession, held: Claim) -> bool:
    """Say that the request still lives; False if it is too late."""
    return store.update_held(session, held.upload_id, held.owner, {"lock_until": session.now + HOLD})


def expect(session: WriteSession, held: Claim, part: Part) -> None:
    """Account for a piece that is about to be written. Raises UploadBusy if the upload is not held any more."""
    if not renew(session, held):
        raise UploadBusy
    store.expect_object(session, held.key.app_id, part.key)


def keep(session: WriteSession, held: Claim, part: Part, *, release: bool) -> None:
    """Count a piece whose object is stored. Raises UploadBusy if the upload is not held any more."""
    lock = {"lock_owner": None, "lock_until": None} if release else {"lock_until": session.now + HOLD}
    if not store.update_held(session, held.upload_id, held.owner, {"received": part.start + part.size, **lock}):
        raise UploadBusy
    store.insert_part(session, held.upload_id, start=part.start, size=part.size, owner=part.owner)


def keeps_object(session: ReadSession, key: AppKey) -> bool:
    """Whether devices fetch this key already, as a file of a finished bundle, so that its object stays as it is.

    Raises Problem `bundle_already_ready` for the zip of a bundle that was finished since the upload was admitted.
    """
    if store.is_zip_of_finished_bundle(session, key.app_id, key.key):
        raise already_ready()
    return store.is_file_of_finished_bundle(session, key.key)


def complete(session: WriteSession, held: Claim, size: int) -> None:
    """End an upload whose object is stored, and account for that. Raises UploadBusy if it is not held any more."""
    if not store.delete_held(session, held.upload_id, held.owner):
        raise UploadBusy
    touch_objects(session, held.key.app_id, {held.key.key: size})


def release(session: WriteSession, held: Claim) -> None:
    """Let go of an upload; others may go on with it."""
    store.update_held(session, held.upload_id, held.owner, {"lock_owner": None, "lock_until": None})


def discard(session: WriteSession, held: Claim) -> Sequence[Part]:
    """Forget an upload with everything that has arrived; gives the pieces, whose objects are to be removed."""
    left = [_part(row) for row in store.parts(session, held.upload_id)]
    return left if store.delete_held(session, held.upload_id, held.owner) else ()


def forget(session: WriteSession, parts: Sequence[Part]) -> None:
    """Account no more for pieces whose objects are removed."""
    store.forget_objects(session, [part.key for part in parts])


def expire(session: WriteSession) -> Sequence[Part] | None:
    """Forget some of the uploads whose time is over, and used links; None if there was nothing any more."""
    store.forget_links(session)
    rows = store.expired(session)
    left = [part for row in rows for part in _parts(session, row)]
    for row in rows:
        store.delete_upload(session, row["id"])
    return left if rows else None


def _claim(session: ReadSession, key: AppKey, row: RowMapping, owner: str) -> Claim:
    return Claim(
        upload_id=row["id"],
        key=key,
        owner=owner,
        length=row["length"],
        received=row["received"],
        checksum=row["checksum"],
        expires_at=row["expires_at"],
        parts=tuple(_parts(session, row)),
    )


def _parts(session: ReadSession, row: RowMapping) -> Sequence[Part]:
    return [_part(part) for part in store.parts(session, row["id"])] if row["received"] else ()


def _part(row: RowMapping) -> Part:
    return Part(row["upload_id"], row["start"], row["size"], row["owner"])
