"""Stores and databases that do not answer: the client is told to come back, and finds everything as it was."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from sqlalchemy import text

from capstan.db.tables import apps, stored_objects, uploads
from tests.databases import DatabaseUrls
from tests.uploads.site import KEY, Site, Uploader, open_site, refused


@pytest.fixture(scope="module")
def silent_endpoint() -> Iterator[str]:
    """Where nobody listens."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


@pytest.fixture(scope="module")
def site(database_urls: DatabaseUrls, silent_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    flags = {
        "data_dir": str(tmp_path_factory.mktemp("data")),
        "objects_url": "s3://bucket/prefix",
        "s3_endpoint": silent_endpoint,
        "s3_region": "us-east-1",
        "s3_access_key_id": "test",
        "s3_secret_access_key": "test",
        "s3_allow_http": "true",
    }
    with open_site({**database_urls.flags, **flags}) as site:
        yield site


def test_a_store_that_does_not_answer_costs_a_retry(site: Site, uploader: Uploader) -> None:
    url = uploader.begun(KEY, 10)
    for body in (b"part", b"the whole."):
        answer = uploader.patch(url, 0, body)
        assert refused(answer) == (503, "upstream_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert uploader.offset(url) == 0
    assert not site.is_working()
    pieces = [row["key"] for row in site.rows(stored_objects) if row["key"].startswith("uploads/")]
    assert len(pieces) == 1, "what may have been written in vain is on the books"


def test_a_registry_that_cannot_be_read_costs_a_retry(site: Site, uploader: Uploader) -> None:
    url = uploader.begun(f"{KEY}x", 10)
    with site.registry.engine.connect().execution_options(capstan_writes=True) as connection:
        with connection.begin():
            connection.execute(text(f"alter table {apps.name} rename to hidden"))
        try:
            for answer in (uploader.create(KEY), uploader.patch(url, 0, b"x")):
                assert refused(answer) == (503, "upstream_unavailable")
        finally:
            with connection.begin():
                connection.execute(text(f"alter table hidden rename to {apps.name}"))
    assert uploader.offset(url) == 0


def test_a_registry_that_cannot_be_written_costs_a_retry(site: Site, uploader: Uploader) -> None:
    url = uploader.begun(f"{KEY}y", 10)
    with site.registry.engine.connect().execution_options(capstan_writes=True) as connection:
        with connection.begin():
            connection.execute(text(f"alter table {uploads.name} rename to hidden"))
        try:
            answer = uploader.patch(url, 0, b"x")
            assert refused(answer) == (503, "upload_retryable")
            assert answer.headers["retry-after"] == "1"
        finally:
            with connection.begin():
                connection.execute(text(f"alter table hidden rename to {uploads.name}"))
    assert uploader.offset(url) == 0
