"""An object store that refuses, falls silent or breaks off: only downloads notice, and only while it lasts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
import pytest
from moto.server import ThreadedMotoServer
from structlog.testing import capture_logs

from capstan.files import objects as files_objects
from capstan.settings import load
from capstan.stores import object_store
from tests.databases import sqlite_databases
from tests.faults.devices import Devices, is_well, until
from tests.faults.logbook import complaints
from tests.faults.tunnel import State, Tunnel
from tests.updates.acme import NOTES, acme_server
from tests.updates.world import ROOT

KEY = f"{ROOT}/{NOTES}/2.1.0.zip"
URL = f"/files/read/attachments/{KEY}?key=x"
CONTENT = bytes(range(256)) * 16 * 1024
"""So much that it takes several requests to the store."""

PATIENCE_SECONDS = 1.0


@dataclass(frozen=True)
class Shop:
    """A server whose objects lie in a bucket at the other end of a tunnel."""

    devices: Devices
    tunnel: Tunnel

    def download(self) -> httpx.Response:
        return self.devices.acme.client.get(URL)

    def is_open(self) -> bool:
        answer = self.download()
        return answer.status_code == 200 and answer.content == CONTENT


@pytest.fixture(scope="module")
def tunnel() -> Iterator[Tunnel]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    tunnel = Tunnel(server.get_host_and_port()[1])
    yield tunnel
    tunnel.close()
    server.stop()


@pytest.fixture(scope="module")
def shop(tunnel: Tunnel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    endpoint = f"http://127.0.0.1:{tunnel.port}"
    httpx.put(f"{endpoint}/bundles").raise_for_status()
    flags = {
        "objects_url": "s3://bundles/all",
        "s3_endpoint": endpoint,
        "s3_region": "us-east-1",
        "s3_access_key_id": "test",
        "s3_secret_access_key": "test",
        "s3_allow_http": "true",
    }
    urls = sqlite_databases(folder)
    object_store(load({**urls.flags, "data_dir": str(folder), **flags}, {})).put_bytes(KEY, CONTENT)
    with acme_server(urls, folder, **flags) as acme:
        acme.client.timeout = httpx.Timeout(30)
        yield Shop(Devices(acme), tunnel)


@pytest.mark.parametrize("state", ["closed", "silent"])
def test_a_store_that_does_not_answer_costs_a_retry(shop: Shop, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files_objects, "PATIENCE_SECONDS", PATIENCE_SECONDS)
    assert shop.is_open()
    with capture_logs() as lines:
        with shop.tunnel.being(state), ThreadPoolExecutor(4) as pool:
            waiting = [pool.submit(shop.download) for _ in range(4)]
            assert is_well(shop.devices.every_answer())
            for answer in [one.result() for one in waiting]:
                assert (answer.status_code, answer.json()["error"]) == (503, "upstream_unavailable")
                assert int(answer.headers["retry-after"]) >= 1
        until(shop.is_open)
        until(lambda: shop.is_open() and "objects are read again" in [line["event"] for line in lines])
    assert complaints(lines) == {"objects cannot be read": 1}


def test_a_download_that_the_store_breaks_off_is_broken_off_and_can_go_on(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    with capture_logs() as lines:
        shop.tunnel.room = len(CONTENT) // 2
        try:
            got = begun(shop)
        finally:
            shop.tunnel.room = None
    assert not any(record.exc_info for record in caplog.records)
    assert 0 < len(got) < len(CONTENT)
    rest = shop.devices.acme.client.get(URL, headers={"range": f"bytes={len(got)}-"})
    assert got + rest.content == CONTENT
    assert complaints(lines) == {"objects cannot be read": 1}


def begun(shop: Shop) -> bytes:
    """What arrives of a download that is broken off."""
    got = []
    with contextlib.suppress(httpx.RemoteProtocolError), shop.devices.acme.client.stream("GET", URL) as answer:
        assert answer.status_code == 200
        for chunk in answer.iter_raw():
            got.append(chunk)
        raise AssertionError("nothing was broken off")
    return b"".join(got)
