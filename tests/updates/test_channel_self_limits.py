"""How often a device may call (contract: device 3.3 steps 3 and 6), with a clock in hand."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from capstan.updates.answers import DeviceAnswer
from capstan.updates.body import unlimited
from capstan.updates.channel_self.call import ChannelCall, Operation, parse_call
from capstan.updates.channel_self.limits import ChannelCallLimits
from tests.updates.world import BASE, DEV

ADDRESS = "203.0.113.7"
START = 1_000.0


class Clock:
    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def call(operation: Operation = "get", **changes: Any) -> ChannelCall:
    parsed = parse_call(operation, msgspec.json.encode({**BASE, **changes}), b"", unlimited)
    assert isinstance(parsed, ChannelCall), parsed
    return parsed


def facts(answer: DeviceAnswer | None) -> dict[str, Any]:
    assert answer is not None
    assert answer.status == 429
    body = msgspec.json.decode(answer.body)
    assert (body["error"], body["message"]) == ("too_many_requests", "Too many requests")
    assert isinstance(body["moreInfo"], dict)
    return body["moreInfo"]


def test_the_sixth_call_within_a_second_is_refused(clock: Clock) -> None:
    limits = ChannelCallLimits(0, clock)
    assert [limits.take(call(), None) for _ in range(5)] == [None] * 5
    clock.now += 0.25
    answer = limits.take(call(), None)
    assert facts(answer) == {
        "app_id": "io.acme.notes",
        "device_id": DEV,
        "rateLimitResetAt": 1_001_000,
        "retryAfterSeconds": 1,
    }
    assert answer is not None
    assert answer.retry == ((b"x-ratelimit-reset", b"1001"), (b"retry-after", b"1"))
    clock.now = START + 1
    assert limits.take(call(), None) is None


def test_each_device_app_and_operation_has_its_own_second(clock: Clock) -> None:
    limits = ChannelCallLimits(0, clock)
    for _ in range(5):
        limits.take(call(), None)
    other = "00000000-0000-4000-8000-000000000001"
    assert limits.take(call("unset"), None) is None
    assert limits.take(call(device_id=other), None) is None
    assert limits.take(call(app_id="io.acme.delta"), None) is None
    assert limits.take(call(), None) is not None


def test_the_same_channel_again_within_a_minute_is_refused(clock: Clock) -> None:
    limits = ChannelCallLimits(0, clock)
    assert limits.take(call("set", channel="beta"), None) is None
    assert limits.take(call("set", channel="staff"), None) is None
    clock.now += 20.5
    assert facts(limits.take(call("set", channel="beta"), None))["retryAfterSeconds"] == 40
    clock.now = START + 60
    assert limits.take(call("set", channel="beta"), None) is None


def test_a_list_without_a_device_is_limited_by_address_only(clock: Clock) -> None:
    limits = ChannelCallLimits(0, clock)
    anonymous = parse_call("list", b"", b"app_id=io.acme.notes&platform=ios", unlimited)
    assert isinstance(anonymous, ChannelCall)
    assert [limits.take(anonymous, None) for _ in range(9)] == [None] * 9


def test_an_address_is_refused_before_anything_else_is_counted(clock: Clock) -> None:
    limits = ChannelCallLimits(2, clock)
    for _ in range(2):
        assert limits.refuse_address(call(), ADDRESS) is None
        assert limits.take(call(), ADDRESS) is None
    assert facts(limits.refuse_address(call(), ADDRESS)) == {
        "reason": "ip_rate_limit_exceeded",
        "app_id": "io.acme.notes",
        "rateLimitResetAt": 1_060_000,
        "retryAfterSeconds": 60,
    }
    assert limits.refuse_address(call(app_id="io.acme.delta"), ADDRESS) is None
    assert limits.refuse_address(call(), None) is None


def test_a_refused_call_does_not_count_for_the_address(clock: Clock) -> None:
    limits = ChannelCallLimits(6, clock)
    for _ in range(9):
        limits.take(call(), ADDRESS)
    assert limits.refuse_address(call(), ADDRESS) is None
