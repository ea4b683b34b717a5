"""Channel calls of the app inside a device (contract: device 3.2, 7.5)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from capstan.simulator import ListedChannel, Platform
from tests.simulator.conftest import World

MODERN, LEGACY, ELECTRON = "8.51.14", "7.33.4", "0.0.1"
PATH = "/channel_self"
NOT_ALLOWED = {"error": "public_channel_self_set_not_allowed", "message": "m"}


def test_a_chosen_channel_is_kept_and_becomes_the_default(world: World) -> None:
    world.server.plan(PATH, {"status": "ok", "allowSet": True})

    async def story() -> None:
        answer = await world.device(default_channel="production").set_channel("beta")
        assert (answer.accepted, answer.channel, answer.allow_set) == (True, "beta", True)
        device = world.device(default_channel="production")
        assert device.channel == "beta"
        await device.check()

    asyncio.run(story())
    asked = world.server.requests(PATH)[0]
    assert (asked.method, asked.json["channel"]) == ("POST", "beta")
    assert world.server.requests("/updates")[0].json["defaultChannel"] == "beta"


@pytest.mark.parametrize(
    ("plugin_version", "status", "body", "accepted", "kept"),
    [
        (MODERN, 200, {"status": "ok", "unset": True}, True, "production"),
        (MODERN, 200, NOT_ALLOWED, False, "production"),
        (MODERN, 500, b"", False, "production"),
        (MODERN, 429, {"error": "on_premise_app"}, False, "production"),
        (LEGACY, 200, {"status": "ok"}, True, "production"),
    ],
)
def test_what_is_kept_follows_the_answer(
    world: World, plugin_version: str, status: int, body: Any, accepted: bool, kept: str
) -> None:
    world.server.plan(PATH, body, status)

    async def story() -> None:
        device = world.device(plugin_version=plugin_version, default_channel="production")
        assert (await device.set_channel("beta")).accepted is accepted
        assert device.channel == kept

    asyncio.run(story())


@pytest.mark.parametrize(
    ("status", "body", "accepted"),
    [(200, NOT_ALLOWED, True), (200, {"status": "ko"}, False), (400, {"error": "x"}, False), (500, b"", False)],
)
def test_electron_takes_error_bodies_for_success(world: World, status: int, body: Any, accepted: bool) -> None:
    world.server.plan(PATH, body, status)
    answer = asyncio.run(world.device(Platform.ELECTRON, ELECTRON).set_channel("beta"))
    assert answer.accepted is accepted
    assert world.server.requests(PATH)[0].json["action"] == "set"


def test_get_sends_the_choice_and_reads_the_answer(world: World) -> None:
    async def story() -> None:
        device = world.device()
        await device.set_channel("beta")
        world.server.plan(PATH, {"channel": "beta", "status": "override", "allowSet": True})
        answer = await device.get_channel()
        assert (answer.channel, answer.status, answer.allow_set) == ("beta", "override", True)

    asyncio.run(story())
    asked = world.server.requests(PATH)[-1]
    assert (asked.method, asked.json["channel"], asked.json["defaultChannel"]) == ("PUT", "beta", "beta")


@pytest.mark.parametrize(
    ("default", "status", "accepted"), [("beta", 400, True), ("", 400, False), ("beta", 200, False)]
)
def test_an_unknown_channel_said_with_400_is_the_local_default(
    world: World, default: str, status: int, accepted: bool
) -> None:
    world.server.plan(PATH, {"error": "channel_not_found", "message": "Cannot find channel"}, status)
    answer = asyncio.run(world.device(default_channel=default).get_channel())
    assert (answer.accepted, answer.channel) == (accepted, "beta" if accepted else "")


def test_list_is_a_query_and_reads_a_bare_array(world: World) -> None:
    row = {"id": 12, "name": "beta", "public": False, "allow_self_set": True}
    world.server.plan(PATH, [row, {"id": "13", "name": "text id"}])
    assert asyncio.run(world.device().list_channels()) == [ListedChannel(12, "beta", False, True)]
    asked = world.server.requests(PATH)[0]
    assert (asked.method, asked.query["is_prod"], asked.query["platform"]) == ("GET", "true", "android")


@pytest.mark.parametrize("body", [{"channels": []}, {"error": "x"}, b"", [1]])
def test_a_list_of_another_form_is_empty(world: World, body: Any) -> None:
    world.server.plan(PATH, body)
    assert asyncio.run(world.device().list_channels()) == []


def test_electron_expects_an_object_around_the_list_and_asks_with_get(world: World) -> None:
    async def story() -> None:
        device = world.device(Platform.ELECTRON, ELECTRON)
        world.server.plan(PATH, {"channels": [{"id": 1, "name": "beta", "public": True, "allow_self_set": False}]})
        assert await device.list_channels() == [ListedChannel(1, "beta", True, False)]
        world.server.plan(PATH, [])
        assert await device.list_channels() == []
        await device.get_channel()

    asyncio.run(story())
    assert {seen.method for seen in world.server.requests(PATH)} == {"GET"}


def test_a_modern_device_forgets_its_channel_without_a_call(world: World) -> None:
    async def story() -> None:
        device = world.device(default_channel="production")
        await device.set_channel("beta")
        assert (await device.unset_channel()).accepted
        assert device.channel == "production"

    asyncio.run(story())
    assert len(world.server.requests(PATH)) == 1


def test_a_legacy_device_unsets_with_a_body_and_no_query(world: World) -> None:
    asyncio.run(world.device(plugin_version=LEGACY).unset_channel())
    asked = world.server.requests(PATH)[0]
    assert (asked.method, asked.query, asked.json["app_id"]) == ("DELETE", {}, "io.acme.notes")


def test_electron_unsets_with_an_action(world: World) -> None:
    asyncio.run(world.device(Platform.ELECTRON, ELECTRON).unset_channel())
    body = world.server.requests(PATH)[0].json
    assert (body["action"], "channel" in body) == ("unset", False)
