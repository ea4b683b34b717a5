"""What arrived must be what was announced, and nothing that is released can be replaced."""

from __future__ import annotations

import base64
import hashlib

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest
from sqlalchemy import update

from capstan.db.tables import app_versions, stored_objects
from capstan.errors import Problem
from capstan.files.keys import app_prefix, delta_key, zip_key
from capstan.uploads.content import ContentCheck
from tests.files.zips import noise
from tests.uploads.site import APP, ORG, ROOT, SYSTEM, Site, Uploader, base64_text, refused, wait_until

PREFIX = app_prefix(ORG, APP)
CONTENT = b"console.log('hello')\n" * 1000


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def checksum(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()


@pytest.mark.parametrize("size", [12, 9_000_000])
def test_a_wrong_checksum_ends_the_upload(site: Site, uploader: Uploader, size: int) -> None:
    content, key = noise(size), f"{ROOT}/a{size}"
    for promised in (checksum(b"other"), "nonsense"):
        url = uploader.begun(key, size, x_checksum_sha256=promised)
        assert uploader.patch(url, 0, content[:7]).status_code == 204
        assert refused(uploader.patch(url, 7, content[7:])) == (415, "unknown_error")
        assert uploader.head(url).status_code == 404
    assert not site.objects.exists(key)
    assert uploader.upload(key, content, x_checksum_sha256=checksum(content)).status_code == 204
    assert site.objects.read(key) == content
    assert {row["key"]: row["size"] for row in site.rows(stored_objects)}[key] == size


def named_by_content(content: bytes) -> list[tuple[str, bytes]]:
    """Names that state a content, and what they must hold."""
    return [
        (delta_key(PREFIX, sha256(content), compressed=False), content),
        (delta_key(PREFIX, sha256(content), compressed=True), brotli.compress(content)),
        (zip_key(PREFIX, "1.0.0", sha256(content)), content),
    ]


def test_a_name_that_states_a_content_is_taken_at_its_word(site: Site, uploader: Uploader) -> None:
    """Ingest relies on such objects without looking."""
    for key, content in named_by_content(CONTENT):
        for forged in (b"alert('mine')", content + b"x", content[:-1], brotli.compress(b"alert('mine')")):
            answer = uploader.upload(key, forged)
            assert refused(answer) == (400, "content_mismatch"), key
            assert not site.objects.exists(key)
        assert uploader.upload(key, content).status_code == 204
        assert site.objects.read(key) == content


def test_names_of_the_official_command_line_are_not_among_them(site: Site, uploader: Uploader) -> None:
    for name in (f"{'a' * 64}_index.js", f"{'a' * 64}_index.js.br", "a" * 63, f"{'A' * 64}", f"x/{'a' * 64}"):
        assert uploader.upload(f"{ROOT}/delta/{name}", b"anything").status_code == 204


def test_what_unpacks_to_too_much_is_not_unpacked() -> None:
    bomb = brotli.compress(bytes(5_000_000))
    key = delta_key(PREFIX, sha256(bytes(5_000_000)), compressed=True)
    assert b"".join(ContentCheck(key, None, 5_000_000).passing([bomb])) == bomb
    with pytest.raises(Problem, match="SHA-256"):
        list(ContentCheck(key, None, 4_000_000).passing([bomb]))


def test_any_split_of_the_bytes_gives_the_same_verdict() -> None:
    content = noise(70_000)
    for key, stored in named_by_content(content):
        for step in (1, 13, 4096, 1 << 20):
            chunks = [stored[start : start + step] for start in range(0, len(stored), step)]
            assert b"".join(ContentCheck(key, checksum(stored), 1 << 20).passing(chunks)) == stored


def test_a_file_of_a_released_bundle_stays_as_it_is(site: Site, uploader: Uploader) -> None:
    """The command line looks before it uploads, so the same name comes twice only when two of them run at once."""
    key = f"{ROOT}/delta/{'e' * 64}_a.js"
    assert uploader.upload(key, b"released").status_code == 204
    answer = uploader.upload(key, b"another")
    assert (answer.status_code, answer.headers["upload-offset"]) == (204, "7")
    assert site.objects.read(key) == b"released"
    site.objects.delete(key)
    assert uploader.upload(key, b"repaired").status_code == 204
    assert site.objects.read(key) == b"repaired"


def test_a_released_zip_is_refused_on_every_route(uploader: Uploader) -> None:
    key = f"{ROOT}/2.0.0.zip"
    url = f"/files/upload/attachments/{key}"
    assert refused(uploader.create(key)) == (409, "bundle_already_ready")
    assert refused(uploader.patch(url, 0, b"x")) == (409, "bundle_already_ready")
    assert refused(uploader.ask("GET", url)) == (409, "bundle_already_ready")
    assert uploader.head(url).status_code == 409
    metadata = f"filename {base64_text(key)}"
    assert refused(uploader.create("", 1, body=b"x", upload_metadata=metadata)) == (409, "bundle_already_ready")


def test_a_slow_upload_cannot_outlast_the_release(site: Site, uploader: Uploader) -> None:
    """Whoever began before the bundle was finished must not replace its zip afterwards."""
    key = f"{ROOT}/2.5.0.zip"
    with uploader.half_sent(uploader.begun(key, 4), 0, 4, b"abc") as send_rest:
        wait_until(site.is_working)
        site.objects.put_bytes(key, b"released")
        with site.registry.write(SYSTEM) as session:
            finished = {"storage_provider": "r2", "r2_path": key}
            session.run(update(app_versions).where(app_versions.c.name == "2.5.0").values(finished))
        assert send_rest(b"d").startswith(b"HTTP/1.1 409 ")
    assert site.objects.read(key) == b"released"
    assert not site.is_working()
