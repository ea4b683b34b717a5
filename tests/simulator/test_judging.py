"""How a reply to a check is judged (contract: device 7.2, 7.3)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from capstan.simulator import Endpoints, Outcome, Platform, Setup, SimulatedDevice
from tests.simulator.bundles import offer_zip, update
from tests.simulator.conftest import World, identity

URL = "https://cdn.acme.example/notes.zip"
ANDROID, IOS = Platform.ANDROID, Platform.IOS

JUDGED: list[tuple[str, Platform, int, Any, Outcome, str]] = [
    ("an update", ANDROID, 200, update("2.1.0", URL, None), Outcome.UPDATE, ""),
    ("up to date", ANDROID, 200, {"error": "x", "message": "m", "kind": "up_to_date"}, Outcome.UP_TO_DATE, "x"),
    ("blocked", IOS, 200, {"error": "x", "message": "m", "kind": "blocked"}, Outcome.BLOCKED, "x"),
    ("failed", ANDROID, 200, {"error": "x", "message": "m", "kind": "failed"}, Outcome.FAILED, "x"),
    ("an unknown kind", ANDROID, 200, {"error": "x", "kind": "sideways"}, Outcome.FAILED, "x"),
    ("no kind", IOS, 200, {"error": "x", "message": "m"}, Outcome.FAILED, "x"),
    ("kind alone", ANDROID, 200, {"kind": "up_to_date", **update("2.1.0", URL, None)}, Outcome.UP_TO_DATE, ""),
    ("error whatever the status", ANDROID, 503, {"error": "x", "kind": "blocked"}, Outcome.BLOCKED, "x"),
    ("429 with an error", ANDROID, 429, {"error": "on_premise_app"}, Outcome.FAILED, "on_premise_app"),
    ("429 without", IOS, 429, {"message": "slow down"}, Outcome.FAILED, "rate_limited"),
    ("another status", ANDROID, 500, update("2.1.0", URL, None), Outcome.FAILED, "response_error"),
    ("not JSON", ANDROID, 200, b"<html>", Outcome.FAILED, "parse_error"),
    ("not JSON on iOS", IOS, 200, b"<html>", Outcome.FAILED, "decode_error"),
    ("an array", ANDROID, 200, [1], Outcome.FAILED, "parse_error"),
    ("a null error on Android", ANDROID, 200, {**update("2.1.0", URL, None), "error": None}, Outcome.FAILED, ""),
    ("a null error on iOS", IOS, 200, {**update("2.1.0", URL, None), "error": None}, Outcome.UPDATE, ""),
    ("a wrong type on iOS", IOS, 200, {**update("2.1.0", URL, None), "link": 7}, Outcome.FAILED, "decode_error"),
    ("a wrong flag on iOS", IOS, 200, {**update("2.1.0", URL, None), "major": "no"}, Outcome.FAILED, "decode_error"),
    ("a wrong list on iOS", IOS, 200, {**update("2.1.0", URL, None), "manifest": [1]}, Outcome.FAILED, "decode_error"),
    ("wrong data on iOS", IOS, 200, {**update("2.1.0", URL, None), "data": {"a": 1}}, Outcome.FAILED, "decode_error"),
    ("a wrong type on Android", ANDROID, 200, {**update("2.1.0", URL, None), "link": 7}, Outcome.UPDATE, ""),
    ("builtin", ANDROID, 200, {"version": "builtin"}, Outcome.REVERT, ""),
    ("builtin on iOS", IOS, 200, {"version": "builtin"}, Outcome.REVERT, ""),
    ("builtin with an error", ANDROID, 200, {"error": "x", "version": "builtin"}, Outcome.FAILED, "x"),
    ("no url", ANDROID, 200, {"version": "2.1.0"}, Outcome.FAILED, "missing_url"),
    ("a bad url", ANDROID, 200, update("2.1.0", "notes.zip", None), Outcome.FAILED, "invalid_url"),
    ("a url of another scheme", IOS, 200, update("2.1.0", "ftp://a.example/b", None), Outcome.FAILED, "invalid_url"),
    ("a broken url", IOS, 200, update("2.1.0", "http://[", None), Outcome.FAILED, "invalid_url"),
    ("an empty version", ANDROID, 200, update("", URL, None), Outcome.NOTHING, ""),
    ("the running version", ANDROID, 200, update("2.0.0", URL, None), Outcome.NOTHING, ""),
    ("a message, automatic", ANDROID, 200, {**update("2.1.0", URL, None), "message": "m"}, Outcome.UPDATE, ""),
]


@pytest.mark.parametrize(
    ("platform", "status", "body", "outcome", "reason"), [row[1:] for row in JUDGED], ids=[row[0] for row in JUDGED]
)
def test_a_reply_is_judged_as_the_newest_release_does(
    world: World, platform: Platform, status: int, body: Any, outcome: Outcome, reason: str
) -> None:
    world.server.plan("/updates", body, status)
    answer = asyncio.run(world.device(platform).check())
    assert (answer.outcome, answer.reason) == (outcome, reason)


def test_the_raw_reply_is_kept(world: World) -> None:
    body = {"error": "no_channel", "message": "no default channel or override", "kind": "failed"}
    world.server.plan("/updates", body)
    reply = asyncio.run(world.device().check()).reply
    assert reply is not None
    assert (reply.status, json.loads(reply.body)) == (200, body)


def test_a_message_rejects_a_check_that_the_app_asked_for(world: World) -> None:
    world.server.plan("/updates", {**update("2.1.0", URL, None), "message": "later"})
    answer = asyncio.run(world.device().check(asked_by_app=True))
    assert (answer.outcome, answer.reason) == (Outcome.REJECTED, "later")


def test_a_release_that_cannot_revert_misses_the_url(world: World) -> None:
    world.server.plan("/updates", {"version": "builtin"})
    assert asyncio.run(world.device(plugin_version="6.1.0").check()).reason == "missing_url"


def test_an_offer_keeps_every_field(world: World) -> None:
    manifest = [{"file_name": "a", "file_hash": "b", "download_url": "c"}, {"file_name": "d"}]
    world.server.plan("/updates", update("2.1.0", URL, "c0ffee", manifest=manifest, link="l", comment="c"))
    offer = asyncio.run(world.device().check()).offer
    assert offer is not None
    assert (offer.version, offer.url, offer.checksum, offer.session_key) == ("2.1.0", URL, "c0ffee", "")
    assert (offer.link, offer.comment) == ("l", "c")
    assert [(e.file_name, e.file_hash, e.download_url) for e in offer.manifest] == [("a", "b", "c"), ("d", "", "")]


@pytest.mark.parametrize(
    ("body", "breaking"),
    [
        ({"error": "disable_auto_update_to_major", "version": "3.0.0", "kind": "blocked"}, True),
        ({"error": "disable_auto_update_to_major", "kind": "blocked"}, False),
        ({**update("3.0.0", URL, None), "breaking": True}, True),
        ({**update("3.0.0", URL, None), "message": "store_update_required"}, True),
        (update("3.0.0", URL, None), False),
    ],
)
def test_the_app_hears_of_updates_that_need_a_new_native_version(
    world: World, body: dict[str, Any], breaking: bool
) -> None:
    world.server.plan("/updates", body)
    assert asyncio.run(world.device().check()).breaking is breaking


def test_a_failing_network_is_a_failed_check(world: World) -> None:
    def broken(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    client = httpx.AsyncClient(transport=httpx.MockTransport(broken))
    device = SimulatedDevice(
        identity(), Setup(Endpoints.below("http://nobody.example")), client, world.folder, world.clock
    )
    answer = asyncio.run(device.check())
    assert (answer.outcome, answer.reason, answer.reply) == (Outcome.FAILED, "network_error", None)


def test_a_version_on_the_device_is_scheduled_without_download(world: World) -> None:
    async def story() -> None:
        device = world.device()
        offer_zip(world.server, "2.1.0", {"index.html": b"one"})
        await device.cycle()
        device.reset()
        world.server.plan("/updates", update("2.1.0", URL, None))
        cycle = await device.cycle()
        assert (cycle.answer.outcome, cycle.download) == (Outcome.ON_DEVICE, None)
        assert device.running == "2.1.0"

    asyncio.run(story())
    assert world.server.fetched() == ["2.1.0.zip"]


REFUSED = {"error": "disable_emulator", "message": "m", "kind": "blocked"}
FAILED = {"error": "no_channel", "message": "m", "kind": "failed"}
UP_TO_DATE = {"error": "no_new_version_available", "message": "m", "kind": "up_to_date"}

REPORTED = [
    ("8.51.14", 200, REFUSED, []),
    ("8.51.14", 200, FAILED, ["download_fail"]),
    ("8.45.0", 200, UP_TO_DATE, []),
    ("7.50.1", 200, UP_TO_DATE, []),
    ("8.51.14", 200, b"<html>", ["download_fail"]),
    ("8.51.14", 200, {"version": "2.1.0"}, ["download_fail"]),
    ("8.44.9", 200, FAILED, []),
    ("8.44.9", 400, UP_TO_DATE, ["download_fail"]),
    ("7.27.0", 200, FAILED, []),
    ("7.26.9", 200, UP_TO_DATE, ["backend_refusal"]),
    ("7.17.0", 500, b"", ["download_fail"]),
    ("6.14.25", 200, REFUSED, ["backend_refusal"]),
    ("7.16.9", 200, UP_TO_DATE, ["download_fail"]),
    ("5.20.0", 200, REFUSED, ["download_fail"]),
    ("8.51.14", 200, update("2.0.0", URL, None), []),
]


@pytest.mark.parametrize(("plugin_version", "status", "body", "actions"), REPORTED)
def test_what_is_no_update_is_reported_as_the_release_does(
    world: World, plugin_version: str, status: int, body: Any, actions: list[str]
) -> None:
    world.server.plan("/updates", body, status)
    device = world.device(plugin_version=plugin_version)
    asyncio.run(device.check())
    assert [event.body["action"] for event in device.pending_events] == actions
    assert all(event.body["version_name"] == device.version_name for event in device.pending_events)
