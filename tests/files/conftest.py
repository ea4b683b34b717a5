from __future__ import annotations

import socket
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from moto.server import ThreadedMotoServer

from capstan.files.objects import ObjectStore, S3Options, open_objects


@dataclass(frozen=True)
class Place:
    """Where a store is, in the words that open it, here and in a child process."""

    url: str
    s3: S3Options

    def open(self) -> ObjectStore:
        return open_objects(self.url, self.s3)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def local_place(tmp_path: Path) -> Place:
    return Place((tmp_path / "objects").as_uri(), S3Options())


@pytest.fixture
def s3_place(s3_endpoint: str) -> Place:
    bucket = f"bucket-{uuid.uuid4().hex}"
    httpx.put(f"{s3_endpoint}/{bucket}").raise_for_status()
    options = S3Options(
        endpoint=s3_endpoint,
        region="us-east-1",
        access_key_id="test",
        secret_access_key="test",
        allow_http=True,
    )
    return Place(f"s3://{bucket}/some/prefix", options)


@pytest.fixture(params=["local", "s3"])
def place(request: pytest.FixtureRequest) -> Place:
    """A fresh, empty place for objects: each backend in turn."""
    found: Place = request.getfixturevalue(f"{request.param}_place")
    return found


@pytest.fixture
def object_store(place: Place) -> ObjectStore:
    return place.open()


@pytest.fixture
def local_store(local_place: Place) -> ObjectStore:
    return local_place.open()


@pytest.fixture
def upload(tmp_path: Path) -> Callable[[bytes], Path]:
    """Puts an upload's bytes into a file, alone in a folder of its own."""
    folder = tmp_path / "incoming"
    folder.mkdir()

    def write(content: bytes) -> Path:
        path = folder / uuid.uuid4().hex
        path.write_bytes(content)
        return path

    return write


@pytest.fixture
def unused_port() -> Iterator[Callable[[], int]]:
    """Gives ports of this machine on which nobody listens: bound for the test's length, never accepting."""
    held: list[socket.socket] = []

    def take() -> int:
        held.append(socket.socket())
        held[-1].bind(("127.0.0.1", 0))
        port: int = held[-1].getsockname()[1]
        return port

    yield take
    for one in held:
        one.close()
