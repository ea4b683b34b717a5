"""Reading a channel call: any input ends in a call or a refusal, and which place the input is taken from."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates.body import Refusal, unlimited
from capstan.updates.channel_self.call import OPERATIONS, ChannelCall, Operation, parse_call
from tests.updates.world import BASE

EVERY = sorted(set(OPERATIONS.values()))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from([*BASE, "channel", "key_id"])


def parsed(operation: Operation, body: dict[str, Any], query: bytes = b"") -> ChannelCall:
    call = parse_call(operation, msgspec.json.encode(body) if body else b"", query, unlimited)
    assert isinstance(call, ChannelCall), call
    return call


@settings(max_examples=200)
@given(st.sampled_from(EVERY), VALUES | st.dictionaries(NAMES, VALUES).map(lambda changes: {**BASE, **changes}))
def test_any_json_is_a_call_or_a_refusal(operation: Operation, body: object) -> None:
    answer = parse_call(operation, msgspec.json.encode(body), b"", unlimited)
    if isinstance(answer, Refusal):
        assert answer.status == 400
        assert msgspec.json.decode(answer.body())["error"]


@settings(max_examples=200)
@given(st.sampled_from(EVERY), st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_are_a_call_or_a_refusal(operation: Operation, raw: bytes, query: bytes) -> None:
    assert isinstance(parse_call(operation, raw, query, unlimited), (ChannelCall, Refusal))


def test_the_place_that_a_method_names_goes_before_the_other() -> None:
    query = urlencode({**BASE, "channel": "query"}).encode()
    assert parsed("set", {**BASE, "channel": "body"}, query).channel == "body"
    assert parsed("unset", {**BASE, "channel": "body"}, query).channel == "query"


@pytest.mark.parametrize(
    ("query", "is_emulator", "is_prod"),
    [("", False, True), ("is_emulator=true&is_prod=false", True, False), ("is_emulator=1&is_prod=yes", False, False)],
)
def test_flags_of_a_query_are_true_if_they_say_so(query: str, is_emulator: bool, is_prod: bool) -> None:
    call = parsed("list", {}, f"app_id=io.acme.notes&platform=ios&{query}".encode())
    assert (call.is_emulator, call.is_prod) == (is_emulator, is_prod)


def test_the_first_of_several_values_counts_and_nul_is_dropped() -> None:
    query = b"app_id=io.acme.notes&app_id=io.acme.delta&platform=ios&version_name=2%001"
    call = parsed("list", {}, query)
    assert (call.app_id, call.version_name) == ("io.acme.notes", "21")


def test_what_is_absent_is_read_as_the_protocol_says() -> None:
    minimal = {name: BASE[name] for name in ("app_id", "device_id", "platform")}
    call = parsed("get", {**minimal, "version_name": "builtin", "version_build": ""})
    assert (call.version_name, call.version_build, call.plugin_version) == ("", "builtin", "0.0.0")
    assert (call.is_emulator, call.is_prod, call.is_legacy) == (False, True, False)
    call = parsed("get", {**minimal, "version_name": "builtin", "version_build": "2"})
    assert (call.version_name, call.version_build) == ("2.0.0", "2.0.0")
