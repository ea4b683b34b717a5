"""Uploads that are broken off, by the client or by the server, go on where they were."""

from __future__ import annotations

import httpx

from capstan.db.tables import stored_objects, upload_parts, uploads
from tests.files.zips import noise
from tests.uploads.site import KEY, READ, Site, Uploader, wait_until

PIECES = 10_000_000
"""Bytes that need more than one piece."""


def received(site: Site) -> int:
    (row,) = site.rows(uploads)
    count: int = row["received"]
    return count


def test_a_broken_connection_loses_nothing_that_was_read(site: Site, uploader: Uploader) -> None:
    content = noise(PIECES)
    url = uploader.begun(KEY, len(content))
    with uploader.half_sent(url, 0, len(content), content[:6_000_000]):
        wait_until(lambda: received(site) > 0)
        kept_before = received(site)
    wait_until(lambda: not site.is_working())
    offset = uploader.offset(url)
    # More than what was stored on the way; what the network still held when the connection ended, nobody has read.
    assert kept_before < offset <= 6_000_000
    answer = uploader.patch(url, offset, content[offset:])
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(len(content)))
    assert site.objects.read(KEY) == content
    assert site.rows(uploads) == site.rows(upload_parts) == []
    assert [row["key"] for row in site.rows(stored_objects)] == [KEY]
    site.objects.delete(KEY)
    assert site.object_count() == 0, "pieces stay behind"


def test_an_upload_goes_on_after_a_restart(site: Site) -> None:
    content = noise(PIECES)
    with site.serving() as uploader:
        url = uploader.begun(KEY, len(content))
        assert uploader.patch(url, 0, content[:5_000_000]).status_code == 204
        path = httpx.URL(url).path
    with site.serving() as uploader:
        assert uploader.offset(path) == 5_000_000
        assert uploader.patch(path, 5_000_000, content[5_000_000:]).status_code == 204
        answer = uploader.client.get(f"{READ}{KEY}")
    assert answer.content == content


def test_an_upload_goes_on_at_another_server(site: Site) -> None:
    with site.serving() as one, site.serving() as other:
        path = httpx.URL(one.begun(f"{KEY}x", 6)).path
        assert one.patch(path, 0, b"abc").status_code == 204
        assert other.offset(path) == 3
        assert other.patch(path, 3, b"def").status_code == 204
        assert one.head(path).headers["upload-length"] == "6"
    assert site.objects.read(f"{KEY}x") == b"abcdef"
