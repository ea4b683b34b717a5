"""Links of our own, for stores that have none: each is good for one upload of one zip, for twenty minutes."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from sqlalchemy import update

from capstan.db.tables import app_versions, stored_objects, used_upload_links
from capstan.uploads.links import PATH, UploadLinks
from tests.uploads.site import APP, ROOT, SYSTEM, Site, Uploader, refused, wait_until

NOW = datetime(2026, 5, 1, tzinfo=UTC)
SECRET = bytes(range(32))


def token(links: UploadLinks, now: datetime = NOW) -> str:
    return links.url("http://host", "id", 1, app_id=APP, key="key", now=now).rpartition("/")[2]


def link(site: Site, uploader: Uploader, name: str) -> str:
    site.add_bundle(name)
    answer = uploader.client.post(
        "/files/upload_link", json={"app_id": APP, "name": name}, headers={"capgkey": uploader.secret}
    )
    url: str = answer.json()["url"]
    return url


def finish(site: Site, name: str) -> None:
    with site.registry.write(SYSTEM) as session:
        session.run(update(app_versions).where(app_versions.c.name == name).values(storage_provider="r2"))


def left_over(site: Site) -> list[Path]:
    return list((Path(site.flags["data_dir"]) / "incoming").iterdir())


def test_a_link_is_good_for_twenty_minutes() -> None:
    links = UploadLinks(SECRET)
    found = links.read(token(links), NOW + timedelta(seconds=1199))
    assert found is not None
    assert (found.key, found.app_id, found.bundle_id) == ("key", APP, 1)
    assert links.read(token(links), NOW + timedelta(seconds=1200)) is None


def test_a_link_that_was_not_signed_here_is_not_read() -> None:
    links = UploadLinks(SECRET)
    content, _, signature = token(links).partition(".")
    for forged in (
        "",
        ".",
        content,
        f"{content}.",
        f"{content}.{signature[:-4]}AAAA",
        f"{content[:-4]}AAAA.{signature}",
        f"{content}.ä",
        token(UploadLinks(bytes(32))),
    ):
        assert links.read(forged, NOW) is None


def test_a_link_is_used_once(simple_site: Site, simple_uploader: Uploader) -> None:
    url = link(simple_site, simple_uploader, "1.0.0")
    assert urlsplit(url).path.startswith(PATH)
    assert httpx.put(url, content=b"first").status_code == 200
    assert refused(httpx.put(url, content=b"second")) == (403, "invalid_upload_link")
    key = f"{ROOT}/1.0.0.zip"
    assert simple_site.objects.read(key) == b"first"
    assert {row["key"]: row["size"] for row in simple_site.rows(stored_objects)}[key] == 5
    assert left_over(simple_site) == []


def test_a_broken_connection_does_not_use_it_up(simple_site: Site, simple_uploader: Uploader) -> None:
    url = link(simple_site, simple_uploader, "1.1.0")
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        head = f"PUT {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: 100\r\n\r\n"
        connection.sendall(head.encode() + b"half")
        wait_until(lambda: left_over(simple_site) != [])
    wait_until(lambda: left_over(simple_site) == [])
    assert httpx.put(url, content=b"whole").status_code == 200
    assert simple_site.objects.read(f"{ROOT}/1.1.0.zip") == b"whole"


def test_nothing_released_is_replaced_through_a_link(simple_site: Site, simple_uploader: Uploader) -> None:
    url = link(simple_site, simple_uploader, "1.2.0")
    other = link(simple_site, simple_uploader, "1.2.1")
    finish(simple_site, "1.2.0")
    assert refused(httpx.put(url, content=b"late")) == (409, "bundle_already_ready")
    with simple_site.registry.write(SYSTEM) as session:
        session.run(update(app_versions).where(app_versions.c.name == "1.2.1").values(deleted=True))
    assert refused(httpx.put(other, content=b"late")) == (403, "invalid_upload_link")
    assert not simple_site.objects.exists(f"{ROOT}/1.2.0.zip")


def test_a_zip_that_is_too_large_is_refused_and_the_link_stays_good(simple_site: Site) -> None:
    with simple_site.serving(max_bundle_bytes="10") as uploader:
        url = link(simple_site, uploader, "1.3.0")
        assert refused(httpx.put(url, content=b"eleven more")) == (413, "bundle_too_large")
        assert refused(httpx.put(url, content=iter([b"eleven ", b"more"]))) == (413, "bundle_too_large")
        assert httpx.put(url, content=b"just ten..").status_code == 200


def test_an_unknown_link_is_refused(simple_site: Site, simple_uploader: Uploader) -> None:
    answer = simple_uploader.client.put(f"{PATH}nonsense", content=b"x")
    assert refused(answer) == (403, "invalid_upload_link")
    assert simple_uploader.client.get(f"{PATH}nonsense").status_code == 404


def test_used_links_are_remembered(simple_site: Site, simple_uploader: Uploader) -> None:
    before = len(simple_site.rows(used_upload_links))
    httpx.put(link(simple_site, simple_uploader, "1.4.0"), content=b"x").raise_for_status()
    assert len(simple_site.rows(used_upload_links)) == before + 1
