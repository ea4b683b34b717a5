"""What tells that the server lives, and `/latency`, that its registry does too (contract: device 0.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from capstan.updates import liveness
from capstan.updates.directory import RegistryUnavailableError
from capstan.updates.liveness import RegistryProbe
from tests.databases import DatabaseUrls
from tests.updates.acme import Acme, acme_server


@pytest.fixture(scope="module")
def acme(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    with acme_server(database_urls, tmp_path_factory.mktemp("data")) as acme:
        yield acme


@pytest.mark.parametrize("path", ["/latency", "/latency/", "/ok", "/updates", "/stats", "/plugin/ok", "/plugin/stats"])
def test_a_probe_is_answered(acme: Acme, path: str) -> None:
    answer = acme.client.get(path)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    head = acme.client.head(path)
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize(("method", "path"), [("POST", "/latency"), ("GET", "/plugin/latency"), ("GET", "/plugin/ko")])
def test_what_is_no_route_is_not_found(acme: Acme, method: str, path: str) -> None:
    assert acme.client.request(method, path).status_code == 404


class Registry:
    """A directory whose reads do what a test wants; `reads` counts them."""

    def __init__(self, work: Any) -> None:
        self.reads = 0
        self._work = work

    async def read(self, _work: object) -> None:
        self.reads += 1
        await self._work()


def answers(registry: Any, times: int) -> list[int]:
    async def ask() -> list[int]:
        probe = RegistryProbe(registry)
        return [answer.status for answer in await asyncio.gather(*(probe.answer() for _ in range(times)))]

    return asyncio.run(ask())


def test_a_registry_that_cannot_be_read_is_unavailable() -> None:
    async def fail() -> None:
        raise RegistryUnavailableError

    assert answers(Registry(fail), 1) == [503]


def test_a_registry_that_hangs_is_asked_once_and_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "PROBE_SECONDS", 0.01)
    registry = Registry(lambda: asyncio.sleep(60))
    assert answers(registry, 20) == [503] * 20
    assert registry.reads == 1
