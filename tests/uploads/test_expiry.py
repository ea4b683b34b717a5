"""Uploads that nobody finished end after a day, and leave nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from capstan.db.tables import stored_objects, upload_parts, uploads, used_upload_links
from capstan.uploads.store import use_link
from capstan.uploads.sweep import sweep_expired
from tests.uploads.site import APP, KEY, ROOT, SYSTEM, Site, Uploader, refused


def expire(site: Site) -> None:
    site.alter(uploads, {"expires_at": datetime.now(UTC)})


def test_an_upload_may_take_a_day(site: Site, uploader: Uploader) -> None:
    answer = uploader.create(KEY)
    expires = parsedate_to_datetime(answer.headers["upload-expires"])
    assert timedelta(hours=23, minutes=58) < expires - datetime.now(UTC) <= timedelta(hours=24)
    for later in (uploader.patch(answer.headers["location"], 0, b"hello"), uploader.head(answer.headers["location"])):
        assert later.headers["upload-expires"] == answer.headers["upload-expires"]
    expire(site)
    sweep_expired(site.registry, site.objects)


def test_what_is_over_is_gone_before_it_is_swept(site: Site, uploader: Uploader) -> None:
    url = uploader.begun(KEY)
    assert uploader.patch(url, 0, b"hello").status_code == 204
    expire(site)
    assert uploader.head(url).status_code == 404
    assert uploader.patch(url, 5, b" world").text == "Not Found"
    assert uploader.create(KEY, 3, body=b"abc").status_code == 201
    assert site.objects.read(KEY) == b"abc"
    site.objects.delete(KEY)
    assert site.object_count() == 0
    assert not any(row["key"].startswith("uploads/") for row in site.rows(stored_objects))


def test_a_sweep_takes_only_what_is_over(site: Site, uploader: Uploader) -> None:
    over = [uploader.begun(f"{ROOT}/over{number}", 10) for number in range(3)]
    for url in over:
        assert uploader.patch(url, 0, b"hello").status_code == 204
        assert uploader.patch(url, 5, b"you").status_code == 204
    expire(site)
    alive = uploader.begun(f"{ROOT}/alive", 10)
    assert uploader.patch(alive, 0, b"hello").status_code == 204
    assert sweep_expired(site.registry, site.objects) == 6
    assert sweep_expired(site.registry, site.objects) == 0
    assert [row["key"] for row in site.rows(uploads)] == [f"{ROOT}/alive"]
    assert len(site.rows(upload_parts)) == site.object_count() == 1
    assert uploader.patch(alive, 5, b"again").status_code == 204
    site.objects.delete(f"{ROOT}/alive")


def test_a_server_sweeps_when_it_starts(site: Site) -> None:
    with site.serving() as uploader:
        assert uploader.patch(uploader.begun(KEY), 0, b"hello").status_code == 204
        expire(site)
    with site.serving():
        assert site.rows(uploads) == []
        assert site.object_count() == 0


def test_used_links_are_forgotten_once_nobody_could_use_them_again(site: Site) -> None:
    now = datetime.now(UTC)
    with site.registry.write(SYSTEM) as session:
        for link_id, expires_at in (("old", now), ("new", now + timedelta(minutes=1))):
            assert use_link(session, link_id, expires_at)
    sweep_expired(site.registry, site.objects)
    assert [row["id"] for row in site.rows(used_upload_links)] == ["new"]


def test_an_app_that_goes_takes_its_uploads_with_it(site: Site, uploader: Uploader) -> None:
    url = uploader.begun(KEY)
    assert uploader.patch(url, 0, b"hello").status_code == 204
    answer = uploader.client.delete(f"/app/{APP}", headers={"capgkey": uploader.secret})
    assert answer.status_code == 200, answer.text
    assert refused(uploader.create(KEY)) == (403, "insufficient_permissions")
    assert site.rows(uploads) == site.rows(upload_parts) == []
    # Its piece is left to the clean-up of objects, on whose books it is.
    assert site.object_count() == 1
    assert any(row["key"].startswith("uploads/") for row in site.rows(stored_objects))
