"""How events reach the server, and what a 429 does (contract: device 7.1, 7.3, 7.4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from capstan.simulator import Flushed, Outcome, Platform, SimulatedDevice
from tests.simulator.bundles import update
from tests.simulator.conftest import World

TOO_MANY = {"error": "too_many_requests", "message": "Too many requests", "moreInfo": {}}


def with_events(world: World, plugin_version: str = "8.51.14", count: int = 2, **more: Any) -> SimulatedDevice:
    device = world.device(plugin_version=plugin_version, **more)
    for _ in range(count):
        device.report("ping")
    return device


@pytest.mark.parametrize("plugin_version", ["8.42.0", "7.50.0", "6.50.2", "5.50.1"])
def test_a_newer_release_sends_its_queue_as_one_array(world: World, plugin_version: str) -> None:
    device = with_events(world, plugin_version, 3)
    assert asyncio.run(device.deliver()) == Flushed(sent=3)
    assert [len(seen.json) for seen in world.server.requests("/stats")] == [3]
    assert device.pending_events == ()


@pytest.mark.parametrize("plugin_version", ["8.41.9", "7.49.9", "0.0.1"])
def test_an_older_release_sends_each_event_alone(world: World, plugin_version: str) -> None:
    assert asyncio.run(with_events(world, plugin_version, 3).deliver()) == Flushed(sent=3)
    assert [seen.json["action"] for seen in world.server.requests("/stats")] == ["ping"] * 3


def test_the_download_worker_of_android_sends_alone_and_without_key_id(world: World) -> None:
    async def story() -> None:
        device = world.device(key_id="MIIBCgKCAQEAtestAAAA")
        world.server.plan("/updates", update("2.1.0", "http://updates.example/gone.zip", None))
        await device.cycle()
        device.report("ping")
        await device.deliver()

    asyncio.run(story())
    *alone, batch = [seen.json for seen in world.server.requests("/stats")]
    assert {event["action"] for event in alone} >= {"download_zip_start", "download_fail"}
    assert not any("key_id" in event for event in alone)
    assert [event["action"] for event in batch] == ["ping"]
    assert "key_id" in batch[0]


def test_the_queue_holds_two_hundred_and_loses_the_oldest(world: World) -> None:
    device = world.device()
    for number in range(205):
        device.report("ping", str(number))
    asyncio.run(device.deliver())
    names = [event["version_name"] for event in world.server.events()]
    assert (len(names), names[0], names[-1]) == (200, "5", "204")


def test_the_queue_outlives_the_process(world: World) -> None:
    with_events(world)
    assert asyncio.run(world.device().deliver()) == Flushed(sent=2)


@pytest.mark.parametrize(
    ("status", "body", "platform", "result"),
    [
        (200, b'{"status":"ok","results":[]}', Platform.ANDROID, Flushed(sent=2)),
        (200, b'{"error":"version_not_found","message":"m"}', Platform.ANDROID, Flushed(sent=2)),
        (202, b"{}", Platform.IOS, Flushed(sent=2)),
        (200, b"", Platform.ANDROID, Flushed(sent=2)),
        (200, b"", Platform.IOS, Flushed(kept=2)),
        (400, b'{"error":"x"}', Platform.ANDROID, Flushed(dropped=2)),
        (404, b"", Platform.ANDROID, Flushed(dropped=2)),
        (408, b"", Platform.ANDROID, Flushed(kept=2)),
        (429, b'{"error":"on_premise_app"}', Platform.ANDROID, Flushed(kept=2)),
        (500, b"", Platform.ANDROID, Flushed(kept=2)),
        (503, b"", Platform.IOS, Flushed(kept=2)),
    ],
)
def test_what_becomes_of_a_batch(world: World, status: int, body: bytes, platform: Platform, result: Flushed) -> None:
    world.server.plan("/stats", body, status)
    assert asyncio.run(with_events(world, platform=platform).deliver()) == result


def test_an_event_sent_alone_is_not_sent_again(world: World) -> None:
    world.server.plan("/stats", b"", 503)
    device = with_events(world, "7.34.3")
    assert asyncio.run(device.deliver(5)) == Flushed(sent=1, dropped=1)


def test_a_batch_without_hint_goes_again_a_second_later(world: World) -> None:
    for status in (429, 503, 408):
        world.server.plan("/stats", {"error": "on_premise_app"}, status)
    assert asyncio.run(with_events(world).deliver(5)) == Flushed(sent=2)
    assert world.clock.slept == [1.0, 1.0, 1.0]


HINTS: list[tuple[dict[str, str], dict[str, Any], float]] = [
    ({"retry-after": "30"}, {}, 30),
    ({"retry-after": "2.5"}, {}, 2.5),
    ({"retry-after": "30"}, {"moreInfo": {"retryAfterSeconds": 90}}, 30),
    ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, {"moreInfo": {"retryAfterSeconds": 90}}, 90),
    ({}, {"retryAfterSeconds": 45}, 45),
    ({}, {"moreInfo": {"rateLimitResetAt": 1_750_000_020_000}}, 20),
    ({}, {"rateLimitResetAt": 1_750_000_020_000, "moreInfo": {"retryAfterSeconds": 7}}, 7),
    ({"retry-after": "999999"}, {}, 86_400),
    ({"retry-after": "-5"}, {}, 0),
    ({"retry-after": "inf"}, {}, 0),
    ({}, {"moreInfo": "no object", "retryAfterSeconds": True}, 0),
    ({}, {}, 0),
]


@pytest.mark.parametrize(("headers", "body", "seconds"), HINTS)
def test_a_hint_blocks_every_call_until_its_time(
    world: World, headers: dict[str, str], body: dict[str, Any], seconds: float
) -> None:
    world.server.plan("/stats", {"error": "on_premise_app", **body}, 429, headers)

    async def story() -> None:
        device = with_events(world)
        await device.deliver()
        if seconds:
            world.clock.moment += seconds - 0.01
            assert await device.deliver() == Flushed(kept=2)
            assert (await device.check()).reason == "rate_limited"
            assert (await device.set_channel("beta")).error == "rate_limited"
            assert (await device.get_channel()).error == "rate_limited"
            assert await device.list_channels() == []
            assert len(world.server.seen) == 1
            world.clock.moment += 0.02
        await device.check()
        assert (await device.deliver()).kept == 0

    asyncio.run(story())
    assert len(world.server.requests("/updates")) == 1


def test_a_delivery_with_attempts_left_waits_for_the_end_of_a_block(world: World) -> None:
    world.server.plan("/stats", {"error": "on_premise_app"}, 429, {"retry-after": "30"})
    assert asyncio.run(with_events(world).deliver(2)) == Flushed(sent=2)
    assert world.clock.slept == [1.0, 29.0]


def test_a_check_can_begin_the_block_and_reports_the_limit_once(world: World) -> None:
    world.server.plan("/updates", TOO_MANY, 429, {"retry-after": "30"})

    async def story() -> list[str]:
        device = world.device()
        answer = await device.check()
        assert (answer.outcome, answer.reason) == (Outcome.FAILED, "too_many_requests")
        assert await device.deliver() == Flushed(kept=2)
        return [event.body["action"] for event in device.pending_events]

    assert asyncio.run(story()) == ["rate_limit_reached", "download_fail"]


def test_a_check_made_during_the_block_fails_and_queues_an_event(world: World) -> None:
    world.server.plan("/stats", {}, 429, {"retry-after": "30"})

    async def story() -> list[str]:
        device = with_events(world, count=1)
        await device.deliver()
        await device.check()
        return [event.body["action"] for event in device.pending_events]

    assert asyncio.run(story()) == ["ping", "download_fail"]


@pytest.mark.parametrize("plugin_version", ["8.51.4", "8.2.0", "7.50.2", "7.23.8", "6.14.28", "6.50.2", "5.50.0"])
def test_a_release_of_the_silent_row_stops_stats_until_the_app_restarts(world: World, plugin_version: str) -> None:
    world.server.plan("/stats", TOO_MANY, 429, {"retry-after": "1"})

    async def story() -> None:
        device = with_events(world, plugin_version)
        await device.deliver(3)
        device.report("ping")
        world.clock.moment += 90_000
        assert (await device.deliver(3)).sent == 0
        assert (await device.set_channel("beta")).error == "rate_limited"
        assert (await device.check()).reply is not None
        device.restart()
        assert (await device.deliver()).sent > 0

    asyncio.run(story())
    assert len(world.server.requests("/channel_self")) == 0


@pytest.mark.parametrize("plugin_version", ["8.1.9", "7.23.7", "6.14.27", "5.49.0"])
def test_an_earlier_release_takes_a_429_for_a_plain_error(world: World, plugin_version: str) -> None:
    world.server.plan("/stats", TOO_MANY, 429, {"retry-after": "60"})
    assert asyncio.run(with_events(world, plugin_version).deliver()) == Flushed(sent=1, dropped=1)


def test_a_hint_on_another_status_is_ignored(world: World) -> None:
    world.server.plan("/stats", b"", 503, {"retry-after": "60"})
    assert asyncio.run(with_events(world).deliver(2)) == Flushed(sent=2)
    assert world.clock.slept == [1.0]


def test_one_flush_is_in_flight_at_a_time(world: World) -> None:
    async def story() -> tuple[Flushed, Flushed]:
        device = with_events(world)
        return await asyncio.gather(device.deliver(), device.deliver())

    assert asyncio.run(story())[0] == Flushed(sent=2)
    assert len(world.server.requests("/stats")) == 1
