"""Whatever JSON a device sends, it gets an answer that it understands, never a 500; on both databases."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from tests.faults.devices import Devices, is_tired
from tests.updates.acme import DELTA, NOTES, new_device
from tests.updates.world import BASE, HASHES

ROUTES = (
    ("POST", "/updates"),
    ("POST", "/stats"),
    ("POST", "/updates/manifest_size"),
    ("POST", "/channel_self"),
    ("PUT", "/channel_self"),
    ("DELETE", "/channel_self"),
    ("GET", "/channel_self"),
)
EXAMPLES = settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])

Body: TypeAlias = dict[str, Any]

_numbers = st.integers() | st.just(10**400) | st.floats(allow_nan=False, allow_infinity=False)
_words = st.sampled_from(
    ("", "0", "builtin", "unknown", "2.1.0", "2.1.0:a.js", "1.0.0-rc.1", "production", "beta", "\0")
)
VALUES: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | _numbers | st.text(max_size=40) | _words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | _words, inner, max_size=4),
    max_leaves=12,
)
MEMBERS = (
    *BASE,
    *("action", "old_version_name", "metadata", "timestamp", "channel", "version", "version_id", "manifest", "files"),
    *("key_id", "version_os", "versionName", "custom_id"),
)
FILES = st.fixed_dictionaries(
    {}, optional={"file_name": VALUES, "file_hash": VALUES | st.just(HASHES["<A1>"]), "download_url": VALUES}
)


@st.composite
def nearly_valid(draw: st.DrawFn) -> Body:
    """A body that real devices send, but for some members."""
    base = {**BASE, "device_id": new_device(), "app_id": draw(st.sampled_from((NOTES, DELTA))), "action": "set"}
    changed = draw(st.dictionaries(st.sampled_from(MEMBERS), VALUES, max_size=3))
    files = draw(st.just({}) | st.fixed_dictionaries({"manifest": st.lists(FILES, max_size=3)}))
    missing = draw(st.sets(st.sampled_from(MEMBERS), max_size=1))
    return {name: value for name, value in {**base, **changed, **files}.items() if name not in missing}


BODIES = VALUES | nearly_valid() | st.lists(nearly_valid() | VALUES, max_size=4)


@EXAMPLES
@given(body=BODIES)
def test_any_body_is_answered(devices: Devices, body: Any) -> None:
    content = json.dumps(body).encode()
    for method, path in ROUTES:
        check_answered(devices.acme.client.request(method, path, content=content))


@EXAMPLES
@given(content=st.binary(max_size=60) | st.integers(1, 2_000).map(lambda depth: b"[" * depth + b"]" * depth))
def test_any_bytes_are_answered(devices: Devices, content: bytes) -> None:
    for method, path in ROUTES:
        check_answered(devices.acme.client.request(method, path, content=content))


@EXAMPLES
@given(body=nearly_valid())
def test_any_query_is_answered(devices: Devices, body: Body) -> None:
    query = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
    for method in ("GET", "PUT", "DELETE", "POST"):
        check_answered(devices.acme.client.request(method, "/channel_self", params=query))


def check_answered(answer: httpx.Response) -> None:
    """A success or a refusal, in JSON; whoever is told to come back is told when."""
    assert answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/json"
    # Refusals may show a body that is nested deeper than Python's own decoder allows.
    assert answer.content[:1] in (b"{", b"[")
    if b'"too_many_requests"' in answer.content:
        assert is_tired(answer)
