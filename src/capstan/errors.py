"""The one table of error codes, and the value that carries one to whoever asked.

Rules raise `Problem`; the plumbing turns it into the envelope of the tongue that is spoken (contract: public 4.1,
device 0.2). A code that is not in `ERRORS` cannot be raised, and `docs/errors.md` is tested against the table.
"""

from __future__ import annotations

from typing import Any

ERRORS: dict[str, str] = {
    "app_id_already_exists": "An app with this id exists on this server.",
    "body_too_large": "The body is larger than `max_body_bytes` allows.",
    "cannot_access_app": "No such app, or the caller may not do this to it.",
    "cannot_access_channel": "The caller may not put devices on this channel.",
    "cannot_access_organization": "No such organization, or the caller may not do this in it.",
    "cannot_create_app": "The app could not be stored.",
    "cannot_create_bundle": "No such app, or the caller may not upload to it.",
    "cannot_delete_all_version": "The bundles could not be deleted.",
    "cannot_delete_app": "No such app, or the caller may not delete it.",
    "cannot_delete_bundle": "No such app, or the caller may not delete its bundles.",
    "cannot_delete_channel": "The channel could not be deleted.",
    "cannot_delete_linked_version": "The bundle is in use by a channel.",
    "cannot_delete_version": "No such bundle, or it is deleted already.",
    "cannot_find_app": "The app is gone.",
    "cannot_find_channel": "No such channel.",
    "cannot_find_channels": "The channels could not be read.",
    "cannot_find_version": "No such bundle (or, for one channel by name, no such channel).",
    "cannot_get_bundle": "No such app, or the caller may not read its bundles.",
    "cannot_promote_bundle": "The caller may not change which bundle this channel offers.",
    "cannot_set_bundle_to_channel": "The channel refused the bundle.",
    "cannot_update_bundle_metadata": "No such app, or the caller may not change its bundles.",
    "cannot_update_version_metadata": "The change could not be stored.",
    "channel_device_error": "The override could not be stored.",
    "channel_not_found": "No such channel.",
    "checksum_mismatch": "The zip that arrived does not have the SHA-256 that was given.",
    "device_not_found": "No device with this id was seen.",
    "devices_not_found": "The devices could not be read.",
    "encryption_key_mismatch": "The bundle is encrypted with another key than the organization's.",
    "encryption_key_required": "The organization asks for the id of the encryption key.",
    "encryption_required": "The organization accepts only encrypted bundles.",
    "invalid_apikey": "No valid API key has this secret.",
    "forbidden_binding": "The caller stands too low to give this power.",
    "api_key_not_found": "No such API key.",
    "service_unavailable": "The registry cannot be read at the moment; the device asks again at its next check.",
    "invalid_capgo_api_version": "The header `capgo_api` is not a version.",
    "invalid_app_id": "`app_id` is not a reverse domain name, or names no app within reach.",
    "invalid_auto_pause_action": "`autoPauseAction` is not `pause`, `rollback` or `notify`.",
    "invalid_auto_pause_confidence": "`autoPauseConfidence` is not between 0 and 1.",
    "invalid_body": "A field has the wrong type or is outside its range.",
    "invalid_json_parse_body": "The body is not JSON, or is empty where input is needed.",
    "invalid_jwt": "The session token is not valid, or no longer.",
    "invalid_limit": "`limit` is not a positive integer.",
    "invalid_order": "`order` is neither `asc` nor `desc`.",
    "invalid_org_id": "No such organization, or the caller may not read it.",
    "invalid_protocol": "The URL of an external bundle does not begin with `https://`.",
    "invalid_rollout_config": "A rollout or auto-pause number is outside its range.",
    "invalid_rollout_percentage": "`rolloutPercentage` is not a number from 0 to 100.",
    "invalid_subkey": "`x-limited-key-id` does not name a usable key of the same user.",
    "invalid_updated_at": "`updated_at` is not a calendar date and time.",
    "invalid_version_format": "`version` is not a semantic version (`1.2.3`), without a leading `v`.",
    "invalid_version_id": "A device is put on a channel, not on a bundle.",
    "missing_app_id": "`app_id` is missing.",
    "missing_channel_name": "`channel` is missing.",
    "missing_checksum": "`checksum` is missing.",
    "missing_device_id": "`device_id` is missing.",
    "missing_device_id_or_app_id": "`device_id` or `app_id` is missing.",
    "missing_external_url": "`external_url` is missing.",
    "missing_name": "`name` is missing.",
    "missing_owner_org": "`owner_org` is missing.",
    "missing_required_fields": "A required field is missing.",
    "missing_rollout_version": "There is no rollout bundle to promote.",
    "missing_stable_version": "A rollout needs a stable bundle on the channel.",
    "missing_version": "`version` is missing.",
    "no_fields_to_update": "Neither `link` nor `comment` was sent.",
    "no_jwt_apikey_or_subkey": "No session token and no API key was sent.",
    "no_key_provided": "No API key was sent.",
    "not_found": "No such route, or no such file.",
    "org_requires_expiring_key": "The organization accepts only API keys with an expiration date.",
    "public_channel_override": "A device cannot be forced onto a public channel.",
    "too_many_requests": "A rate limit was reached; `Retry-After` says when to come back.",
    "unknown_error": "The server failed; the log has the details under the request id.",
    "upload_retryable": "Files of the upload went away meanwhile; `Retry-After` says when to send it again.",
    "user_does_not_have_access_to_this_organization": "No such organization, or the caller may not read it.",
    "version_already_exists": "A bundle of this name exists, or existed and was deleted.",
    # files
    "bundle_too_large": "The zip is larger than `max_bundle_bytes` allows.",
    "invalid_file_path_encoding": "The path of the file holds a broken percent escape.",
    "upstream_unavailable": "The object store does not answer; try again.",
    "zip_compression_unsupported": "A file of the zip is neither stored nor deflated, all that devices can unpack.",
    "zip_damaged": "The upload is not a zip, is cut off, contradicts itself, or fails its own checksums.",
    "zip_encrypted": "The zip has a password.",
    "zip_entries_overlap": "Files of the zip share bytes, as zip bombs do.",
    "zip_link": "The zip holds a symbolic link, a device or a pipe.",
    "zip_name_collision": "Two files of the zip would be one file on a device.",
    "zip_name_not_utf8": "A file name of the zip is not marked as UTF-8, or is not UTF-8.",
    "zip_no_index_html": "The zip has no `index.html` at its top.",
    "zip_path_too_long": "A file name of the zip is longer than devices can store.",
    "zip_path_unsafe": "A file name of the zip would leave the bundle's folder, or is none.",
    "zip_ratio_suspicious": "The zip gets larger than `max_zip_ratio` allows when unpacked.",
    "zip_too_large_unpacked": "The files of the zip are larger than `max_unpacked_bytes` allows.",
    "zip_too_many_files": "The zip holds more files than `max_bundle_files` allows.",
    # uploads
    "app_access_denied": "No such app, or the caller may not upload to it.",
    "bad_upload_defer_length": "`Upload-Defer-Length` is not 1.",
    "bundle_already_ready": "The bundle is complete and does not change any more.",
    "cannot_get_upload_link": "The name of the bundle cannot be part of a path.",
    "cannot_update_supabase": "The place of the upload could not be stored.",
    "content_mismatch": "The name of the file states a SHA-256 that its content does not have.",
    "duplicate_upload": "There was an unfinished upload with content; it is discarded, and the next request succeeds.",
    "error_already_deleted": "No such bundle waits for its files.",
    "error_already_exist": "The zip of this bundle was uploaded already.",
    "error_already_uploaded_to_s3": "The zip of this bundle was uploaded; the bundle is not a failed one.",
    "error_bundle_name_missing": "`name` is missing.",
    "error_version_not_found": "No bundle of this name waits for files of the caller.",
    "insufficient_permissions": "No such app, or the caller may not upload to it.",
    "invalid_content_type": "`Content-Type` is not `application/offset+octet-stream`.",
    "invalid_file_path": "The file's path is not `orgs/<organization>/apps/<app>/…`, or has more than 2048 bytes.",
    "invalid_upload_link": "The upload link was not made here, is over, or was used.",
    "missing_content_type": "A body came without a `Content-Type`.",
    "missing_upload_length": "Neither `Upload-Length` nor `Upload-Defer-Length` was sent.",
    "not_authorized": "No such app, or the caller may not delete its bundles.",
    "on_premise_app": "The plan of the organization does not allow this.",
    "owner_org_mismatch": "The organization in the path does not own the app.",
}


class Problem(Exception):  # noqa: N818 - a refusal told to a client, not a programming error
    """A refusal: `code` from `ERRORS`, an English sentence, an HTTP status (400 to 599) and facts for `moreInfo`."""

    def __init__(
        self, code: str, message: str, *, status: int = 400, more: dict[str, Any] | None = None
    ) -> None:
        if code not in ERRORS:
            raise KeyError(f"error code {code!r} is not in the table")
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.more: dict[str, Any] = more or {}
