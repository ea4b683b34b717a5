from __future__ import annotations

import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.databases import DatabaseUrls
from tests.files.conftest import s3_endpoint
from tests.uploads.site import Site, Uploader, open_site

__all__ = ["s3_endpoint"]


@pytest.fixture(scope="module", params=["local", "s3"])
def store_kind(request: pytest.FixtureRequest) -> str:
    """Each kind of object store in turn."""
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def site(
    request: pytest.FixtureRequest,
    database_urls: DatabaseUrls,
    store_kind: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """An installation; a test that uses this runs on each database with each store."""
    flags = {**database_urls.flags, "data_dir": str(tmp_path_factory.mktemp("data"))}
    if store_kind == "s3":
        flags |= _new_bucket(request.getfixturevalue("s3_endpoint"))
    with open_site(flags) as site:
        yield site


def _new_bucket(endpoint: str) -> dict[str, str]:
    bucket = f"bucket-{uuid.uuid4().hex}"
    httpx.put(f"{endpoint}/{bucket}").raise_for_status()
    return {
        "objects_url": f"s3://{bucket}/some/prefix",
        "s3_endpoint": endpoint,
        "s3_region": "us-east-1",
        "s3_access_key_id": "test",
        "s3_secret_access_key": "test",
        "s3_allow_http": "true",
    }


@pytest.fixture(scope="module")
def uploader(site: Site) -> Iterator[Uploader]:
    """The owner, before a server of `site` that runs for the whole module."""
    with site.serving() as uploader:
        yield uploader


@pytest.fixture(scope="module")
def simple_site(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """An installation with objects in a folder; a test that uses this runs on each database.

    Not in one module with `site`: both fill the same database.
    """
    with open_site({**database_urls.flags, "data_dir": str(tmp_path_factory.mktemp("data"))}) as site:
        yield site


@pytest.fixture(scope="module")
def simple_uploader(simple_site: Site) -> Iterator[Uploader]:
    """As `uploader`, of `simple_site`."""
    with simple_site.serving() as uploader:
        yield uploader
