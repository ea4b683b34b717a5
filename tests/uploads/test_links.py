"""Uploads with one request by a link, and the way to give up a bundle whose upload failed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from capstan.db.tables import app_versions, audit_logs
from tests.uploads.site import APP, ROOT, Site, Uploader

ZIP = {"content-type": "application/zip"}


def ask(uploader: Uploader, method: str, path: str, body: Any) -> httpx.Response:
    return uploader.client.request(method, path, json=body, headers={"capgkey": uploader.secret})


def link(uploader: Uploader, name: str) -> str:
    answer = ask(uploader, "POST", "/files/upload_link", {"app_id": APP, "name": name})
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["url"]
    return url


def bundle(site: Site, name: str) -> Any:
    return next((row for row in site.rows(app_versions) if row["name"] == name), None)


def test_a_link_takes_the_zip_without_any_other_credential(site: Site, uploader: Uploader) -> None:
    site.add_bundle("3.0.0")
    answer = httpx.put(link(uploader, "3.0.0"), content=b"zip zip", headers=ZIP)
    assert answer.status_code == 200
    key = f"{ROOT}/3.0.0.zip"
    assert site.objects.read(key) == b"zip zip"
    assert bundle(site, "3.0.0")["r2_path"] == key
    assert uploader.client.get(f"/files/read/attachments/{key}").content == b"zip zip"
    refused = ask(uploader, "POST", "/files/upload_link", {"app_id": APP, "name": "3.0.0"})
    assert (refused.status_code, refused.json()["error"]) == (400, "error_already_exist")


@pytest.mark.parametrize(
    "path",
    ["/files/upload_link", "/private/upload_link", "/private/files/upload_link", "/functions/v1/files/upload_link"],
)
def test_links_are_given_under_every_name(site: Site, uploader: Uploader, path: str) -> None:
    name = f"3.1.{len(path)}"
    site.add_bundle(name)
    assert ask(uploader, "POST", path, {"app_id": APP, "name": name, "version": 7}).status_code == 200


@pytest.mark.parametrize(
    ("wanted", "refusal"),
    [
        ({}, (400, "app_access_denied")),
        ({"app_id": "io.acme.none", "name": "1.0.0"}, (400, "app_access_denied")),
        ({"app_id": "io.acme.foreign", "name": "1.0.0"}, (400, "app_access_denied")),
        ({"app_id": APP}, (404, "error_version_not_found")),
        ({"app_id": APP, "name": "0.0.1"}, (404, "error_version_not_found")),
        ({"app_id": APP, "name": "2.0.0"}, (404, "error_version_not_found")),
        ({"app_id": APP, "name": "of-another"}, (404, "error_version_not_found")),
        ({"app_id": APP, "name": "../../x"}, (400, "cannot_get_upload_link")),
    ],
)
def test_links_are_refused(site: Site, uploader: Uploader, wanted: dict[str, str], refusal: tuple[int, str]) -> None:
    if bundle(site, "of-another") is None:
        site.add_bundle("of-another", user_id="00000000-0000-4000-8000-00000000000b")
        site.add_bundle("../../x")
    answer = ask(uploader, "POST", "/files/upload_link", wanted)
    assert (answer.status_code, answer.json()["error"]) == refusal


def test_giving_a_link_is_a_change_of_the_bundle(site: Site, uploader: Uploader) -> None:
    site.add_bundle("3.2.0")
    link(uploader, "3.2.0")
    entry = site.rows(audit_logs)[-1]
    assert (entry["table_name"], entry["operation"]) == ("app_versions", "UPDATE")
    assert entry["changed_fields"] == ["r2_path", "updated_at"]


def delete(uploader: Uploader, body: dict[str, str]) -> tuple[int, str]:
    answer = ask(uploader, "DELETE", "/private/delete_failed_version", body)
    return answer.status_code, answer.json().get("error") or answer.json()["status"]


def test_a_failed_bundle_is_removed_and_its_name_is_free(site: Site, uploader: Uploader) -> None:
    site.add_bundle("4.0.0")
    assert delete(uploader, {"app_id": APP, "name": "4.0.0"}) == (200, "ok")
    assert bundle(site, "4.0.0") is None
    assert site.rows(audit_logs)[-1]["operation"] == "DELETE"
    assert delete(uploader, {"app_id": APP, "name": "4.0.0"}) == (400, "error_already_deleted")
    site.add_bundle("4.0.0")


def test_what_is_not_a_failed_bundle_stays(site: Site, uploader: Uploader) -> None:
    site.add_bundle("4.1.0")
    site.objects.put_bytes(f"{ROOT}/4.1.0.zip", b"zip")
    assert delete(uploader, {"app_id": APP, "name": "4.1.0"}) == (400, "error_already_uploaded_to_s3")
    assert delete(uploader, {"app_id": APP, "name": "2.0.0"}) == (400, "error_already_deleted")
    assert delete(uploader, {"app_id": APP}) == (400, "error_bundle_name_missing")
    for app_id in ("", "io.acme.none", "io.acme.foreign"):
        assert delete(uploader, {"app_id": app_id, "name": "2.5.0"}) == (401, "not_authorized")
    assert delete(uploader, {}) == (401, "not_authorized")
    lesser = uploader.with_key(site.new_key("upload"))
    assert delete(lesser, {"app_id": APP, "name": "4.1.0"}) == (401, "not_authorized")
    assert bundle(site, "4.1.0") is not None
