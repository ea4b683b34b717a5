"""Fleets: the same devices for the same seed, and rounds that add up."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from capstan.simulator import Endpoints, Fault, Fleet, Outcome, Platform, Setup, make_identities, on_version
from tests.simulator.bundles import sha256, update, zipped
from tests.simulator.conftest import World
from tests.simulator.fake import ORIGIN, FakeServer

ARCHIVE = zipped({"index.html": b"x"})


class OneBundle(FakeServer):
    """Offers one zip to whoever does not run it."""

    async def answer(self, request: Request) -> Response:
        if request.url.path != "/updates":
            return await super().answer(request)
        body: dict[str, Any] = await request.json()
        if body["version_name"] == "2.1.0":
            return JSONResponse({"error": "no_new_version_available", "message": "m", "kind": "up_to_date"})
        return JSONResponse(update("2.1.0", self.put("b.zip", ARCHIVE), sha256(ARCHIVE)))


def test_a_seed_always_makes_the_same_devices() -> None:
    assert make_identities(50, 7, "io.acme.notes") == make_identities(50, 7, "io.acme.notes")
    assert make_identities(50, 7, "io.acme.notes") != make_identities(50, 8, "io.acme.notes")


def test_the_mix_holds_every_platform_and_many_releases() -> None:
    identities = make_identities(400, 1, "io.acme.notes", natives=("1.0.0", "2.0.0"), default_channels=("", "beta"))
    assert {identity.platform for identity in identities} == set(Platform)
    assert len({identity.plugin_version for identity in identities}) > 5
    assert {identity.version_build for identity in identities} == {"1.0.0", "2.0.0"}
    assert {identity.default_channel for identity in identities} == {"", "beta"}
    assert {identity.is_prod for identity in identities} == {True, False}
    assert {identity.is_emulator for identity in identities} == {True, False}
    assert len({identity.device_id.lower() for identity in identities}) == 400


def test_old_ios_writes_its_device_id_in_capitals() -> None:
    identities = make_identities(20, 1, "a.b", platforms=[Platform.IOS], plugin_versions=["6.25.8", "8.51.14"])
    assert {(i.plugin_version, i.device_id.isupper()) for i in identities} == {("6.25.8", True), ("8.51.14", False)}


def test_a_round_brings_every_device_to_the_offered_bundle(world: World) -> None:
    server = OneBundle()
    setup = Setup(Endpoints.below(ORIGIN))
    identities = make_identities(12, 3, "io.acme.notes", plugin_versions=["8.51.14"])
    fleet = Fleet(identities, setup, server.client(), world.folder, world.clock)
    assert fleet.versions == Counter({"builtin": 12})

    async def story() -> None:
        first = await fleet.run_cycle(at_once=4)
        assert first.outcomes == Counter({Outcome.UPDATE: 12})
        assert first.applied == Counter({"set": 12})
        assert (first.zips, first.deltas, first.failed_downloads) == (12, 0, 0)
        assert (first.requests, first.bytes) == (12, 12 * len(ARCHIVE))
        assert first.events.sent == 12 * 5
        assert fleet.versions == Counter({"2.1.0": 12})
        second = await fleet.run_cycle()
        assert second.outcomes == Counter({Outcome.UP_TO_DATE: 12})
        assert second.reasons == Counter({"no_new_version_available": 12})
        assert (second.requests, second.bytes) == (0, 0)

    asyncio.run(story())


def test_a_bad_bundle_fails_the_fleet_that_meets_it(world: World) -> None:
    server = OneBundle()
    setup = Setup(Endpoints.below(ORIGIN), temper=on_version("2.1.0", Fault.FAILS_TO_BOOT))
    identities = make_identities(5, 3, "io.acme.notes", plugin_versions=["8.51.14"])
    fleet = Fleet(identities, setup, server.client(), world.folder, world.clock)
    result = asyncio.run(fleet.run_cycle())
    assert result.applied == Counter({"update_fail": 5})
    assert fleet.versions == Counter({"builtin": 5})
