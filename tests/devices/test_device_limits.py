"""The limiters of /device (contract: public 6, CD-8)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from capstan.db.session import Registry
from tests.devices.ids import DEVICE, numbered
from tests.public_api.plane import Caller, accepted, build_plane, refused
from tests.public_api.world import APP, World

# Addresses for documentation would not do: they count as private, and private peers as unknown.
SOMEWHERE, ELSEWHERE = "9.9.9.7", "9.9.9.8"


@pytest.fixture
def released(world: World) -> World:
    for channel in ("beta", "staff"):
        accepted(world.owner.post("/channel", app_id=APP, channel=channel))
    return world


def set_beta(caller: Caller, device_id: str = DEVICE, channel: str = "beta") -> httpx.Response:
    return caller.post("/device", app_id=APP, device_id=device_id, channel=channel)


def test_the_modern_dialect_refuses_the_same_set_within_a_minute(released: World) -> None:
    accepted(set_beta(released.modern))
    answer = set_beta(released.modern)
    assert refused(answer) == (429, "too_many_requests")
    assert answer.json()["message"] == "Too many requests"
    until = int((released.clock.now + 60) * 1000)
    assert answer.json()["moreInfo"] == {
        "app_id": APP, "device_id": DEVICE, "rateLimitResetAt": until, "retryAfterSeconds": 60,
    }  # fmt: skip
    assert (answer.headers["retry-after"], answer.headers["x-ratelimit-reset"]) == ("60", str(until // 1000))
    released.clock.pass_seconds(59.5)
    assert set_beta(released.modern).headers["retry-after"] == "1"
    released.clock.pass_seconds(0.5)
    accepted(set_beta(released.modern))


def test_another_channel_or_device_is_not_the_same_set(released: World) -> None:
    accepted(set_beta(released.modern))
    accepted(set_beta(released.modern, channel="staff"))
    accepted(set_beta(released.modern, numbered(1)))
    assert set_beta(released.modern, DEVICE.upper()).status_code == 429


def test_a_set_that_failed_counts_too(released: World) -> None:
    assert set_beta(released.modern, channel="none").status_code == 404
    assert set_beta(released.modern, channel="none").status_code == 429


def test_the_seed_dialect_answers_a_repetition_as_the_first(released: World) -> None:
    for _ in range(5):
        assert accepted(set_beta(released.owner)) == {"status": "ok"}
    accepted(set_beta(released.modern.also_sending({"capgo_api": "2025-10-01"}), numbered(1)))
    accepted(set_beta(released.modern.also_sending({"capgo_api": "2025-10-01"}), numbered(1)))


def test_the_limiter_of_identical_sets_can_be_switched_off(
    released: World, registry: Registry, telemetry_engine: Engine, event_loop_runner: asyncio.Runner
) -> None:
    plane = build_plane(registry, telemetry_engine, released.clock, refuse_identical_sets=False)
    caller = Caller(plane, event_loop_runner, released.modern.headers)
    accepted(set_beta(caller))
    accepted(set_beta(caller))


@pytest.mark.parametrize(("method", "members"), [("POST", {"channel": "beta"}), ("GET", {}), ("DELETE", {})])
def test_five_operations_of_a_kind_a_second(released: World, method: str, members: dict[str, Any]) -> None:
    released.add_device(DEVICE)

    def operate(device_id: str = DEVICE) -> int:
        asked = {"app_id": APP, "device_id": device_id, **members}
        return released.owner.request(method, "/device", body=asked).status_code

    assert [operate() for _ in range(7)] == [200] * 5 + [429] * 2
    assert operate(numbered(1)) != 429
    others = {"POST", "GET", "DELETE"} - {method}
    asked = {"app_id": APP, "device_id": DEVICE, "channel": "beta"}
    assert {released.owner.request(other, "/device", body=asked).status_code for other in others} == {200}
    released.clock.pass_seconds(1)
    assert operate() == 200


def test_operations_that_fail_count_and_lists_do_not(released: World) -> None:
    reader = released.caller_of_mode("read")
    codes = [refused(set_beta(reader))[1] for _ in range(6)]
    assert codes == ["cannot_access_channel"] * 5 + ["too_many_requests"]
    for _ in range(10):
        accepted(released.owner.get("/device", app_id=APP))
        assert refused(released.owner.delete("/device", app_id=APP))[1] == "missing_device_id"


def test_an_address_has_a_number_of_requests_a_minute_for_each_app(
    released: World, registry: Registry, telemetry_engine: Engine, event_loop_runner: asyncio.Runner
) -> None:
    released.add_app("com.other.app")
    plane = build_plane(registry, telemetry_engine, released.clock, device_requests_a_minute=3)
    caller = Caller(plane, event_loop_runner, released.owner.headers, SOMEWHERE)
    accepted(caller.get("/device", app_id=APP))
    assert refused(caller.get("/device", app_id=APP, order="up"))[1] == "invalid_order"
    accepted(caller.delete("/device", app_id=APP, device_id=DEVICE))
    answer = caller.get("/device", app_id=APP)
    assert refused(answer) == (429, "too_many_requests")
    assert answer.json()["moreInfo"] == {
        "reason": "ip_rate_limit_exceeded",
        "app_id": APP,
        "rateLimitResetAt": int((released.clock.now + 60) * 1000),
        "retryAfterSeconds": 60,
    }
    accepted(caller.get("/device", app_id="com.other.app"))
    accepted(caller.from_address(ELSEWHERE).get("/device", app_id=APP))
    accepted(caller.from_address("127.0.0.1").get("/device", app_id=APP))
    released.clock.pass_seconds(60)
    accepted(caller.get("/device", app_id=APP))


def test_other_routes_are_not_counted(
    released: World, registry: Registry, telemetry_engine: Engine, event_loop_runner: asyncio.Runner
) -> None:
    plane = build_plane(registry, telemetry_engine, released.clock, device_requests_a_minute=1)
    caller = Caller(plane, event_loop_runner, released.owner.headers, SOMEWHERE)
    for _ in range(3):
        accepted(caller.get("/channel", app_id=APP))
