"""Wire shapes and routes about uploads that are plain JSON (contract: device 4.1, 4.5; cli 7.1, 7.2)."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from msgspec import Struct, field

from capstan.errors import Problem
from capstan.files.objects import ObjectStore
from capstan.uploads import unfinished
from capstan.uploads.links import VALID_SECONDS, UploadLinks
from capstan.web.endpoint import Credentials, Done, Endpoint, NoInput, ReadCall, Reader, WriteCall

MAX_CHUNK_BYTES = 103_809_024
ALERT_BYTES = 20_971_520


class FilesConfig(Struct, frozen=True, rename="camel"):
    """How the command line is to upload. It uses plain zips only unless the first and the sixth are true."""

    partial_upload: bool
    partial_upload_forced: bool
    max_upload_length: int
    max_chunk_size: int
    alert_upload_size: int
    tus_upload: bool = field(name="TUSUpload")
    tus_upload_forced: bool = field(name="TUSUploadForced")


class NamedBundle(Struct, frozen=True):
    """A bundle by name. Absent members have codes of their own."""

    app_id: str | None = None
    name: str | None = None


class UploadLink(Struct, frozen=True):
    """Where to PUT the zip."""

    url: str


def endpoints(objects: ObjectStore, links: UploadLinks, max_length: int) -> tuple[Endpoint, ...]:
    """The routes; `links` serves where the object store has no links of its own, `max_length` is in bytes."""

    def files_config(_call: ReadCall, _nothing: NoInput) -> FilesConfig:
        return FilesConfig(
            partial_upload=True,
            partial_upload_forced=False,
            max_upload_length=max_length,
            max_chunk_size=MAX_CHUNK_BYTES,
            alert_upload_size=ALERT_BYTES,
            tus_upload=True,
            tus_upload_forced=True,
        )

    def upload_link(call: WriteCall, wanted: NamedBundle) -> UploadLink:
        bundle = unfinished.find(call.session, call.principal, wanted.app_id, wanted.name)
        key = unfinished.key_of(bundle)
        if objects.exists(key):
            raise Problem("error_already_exist", "Already exists", more={"app_id": wanted.app_id, "name": wanted.name})
        url = objects.upload_url(key, VALID_SECONDS) or links.url(
            call.origin, uuid.uuid4().hex, bundle["id"], app_id=bundle["app_id"], key=key, now=call.now
        )
        unfinished.expect_zip(call.session, bundle, key)
        return UploadLink(url)

    def delete_failed_version(call: WriteCall, wanted: NamedBundle) -> Done:
        bundle = unfinished.abandonable(call.session, call.principal, wanted.app_id, wanted.name)
        if objects.exists(bundle["r2_path"] or unfinished.key_of(bundle)):
            raise Problem("error_already_uploaded_to_s3", "The upload of this bundle is complete")
        unfinished.abandon(call.session, bundle)
        return Done()

    return (
        *(_files_config(path, files_config) for path in ("/files/config", "/private/files/config")),
        *(
            _upload_link(path, upload_link)
            for path in ("/files/upload_link", "/private/upload_link", "/private/files/upload_link")
        ),
        Endpoint(
            method="DELETE",
            path="/private/delete_failed_version",
            summary="Remove a bundle whose upload failed, so that its name is free again",
            handler=delete_failed_version,
            input=NamedBundle,
            errors=(
                "not_authorized",
                "error_bundle_name_missing",
                "error_already_deleted",
                "error_already_uploaded_to_s3",
                "cannot_delete_linked_version",
            ),
            permission="bundle.delete",
            accepts_empty=True,
        ),
    )


def _files_config(path: str, handler: Callable[[ReadCall, NoInput], FilesConfig]) -> Endpoint:
    return Endpoint(
        method="GET",
        path=path,
        summary="How the command line is to upload",
        handler=handler,
        output=FilesConfig,
        credentials=Credentials.PUBLIC,
        reader=Reader.PATH,
    )


def _upload_link(path: str, handler: Callable[[WriteCall, NamedBundle], UploadLink]) -> Endpoint:
    return Endpoint(
        method="POST",
        path=path,
        summary="A link for uploading the zip of an unfinished bundle with one request",
        handler=handler,
        input=NamedBundle,
        output=UploadLink,
        errors=(
            "app_access_denied",
            "error_version_not_found",
            "error_already_exist",
            "cannot_get_upload_link",
            "cannot_update_supabase",
        ),
        permission="app.upload_bundle",
        accepts_empty=True,
        refusal="cannot_update_supabase",
    )
