"""Bodies of update checks, from the well-formed to the absurd (contract: device 1.1, 1.2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates.body import Refusal, too_many_requests
from capstan.updates.check import FIELDS_UPDATES, UpdateCheck, check_body, parse_check
from capstan.updates.fields import app_id_complaint, check_fields
from tests.updates.world import BASE, body, check

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from([*BASE, "key_id", "other"])
odd_values = json_values | st.sampled_from(["builtin", "", "1", "v1.2", "x" * 40, "\U0001f600" * 20, "\x00"])


def refused(raw: bytes) -> tuple[int, Any]:
    parsed = parse_check(raw)
    assert isinstance(parsed, Refusal), parsed
    return parsed.status, json.loads(parsed.body())


def issues(**changes: Any) -> list[tuple[str, str]]:
    """Message and field of every issue of the base request with these changes."""
    status, told = refused(body(**changes))
    assert (status, told["error"], told["message"]) == (400, "invalid_json_body", "Cannot parse body")
    found = told["moreInfo"]["parseResult"]
    assert (found["success"], found["error"]["name"]) == (False, "SchemaError")
    assert {issue["code"] for issue in found["error"]["issues"]} == {"custom"}
    return [(issue["message"], *issue["path"]) for issue in found["error"]["issues"]]


@given(json_values)
@settings(max_examples=300, deadline=None)
def test_any_json_value_is_answered(value: Any) -> None:
    status, told = refused(json.dumps(value).encode())
    assert status == 400
    assert list(told) == ["error", "message", "moreInfo"]


@given(st.binary(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_answered(raw: bytes) -> None:
    assert refused(raw)[0] == 400


@given(st.dictionaries(members, odd_values, max_size=4), st.sets(members, max_size=2))
@settings(max_examples=400, deadline=None)
def test_the_short_way_and_the_steps_agree(changes: dict[str, Any], absent: set[str]) -> None:
    asked = {name: value for name, value in {**BASE, **changes}.items() if name not in absent}
    raw = json.dumps(asked).encode()
    short, long = parse_check(raw), check_body(json.loads(raw))
    assert type(short) is type(long)
    if isinstance(short, Refusal) and isinstance(long, Refusal):
        assert json.loads(short.body()) == json.loads(long.body())
    else:
        assert short == long


def test_a_valid_check_is_read_and_normalised() -> None:
    asked = check(
        device_id=BASE["device_id"].upper(),
        version_build="v2.0",
        install_source=" Google_Play ",
        custom_id=" user-77 ",
        is_emulator=None,
        is_prod=None,
        key_id="MIIBCgKCAQEAtestAAAA",
        unknown_field={"a": [1]},
    )
    assert asked.device_id == BASE["device_id"]
    assert (asked.version_build, asked.version_name) == ("2.0.0", "2.0.0")
    assert (asked.install_source, asked.custom_id) == ("google_play", "user-77")
    assert (asked.is_emulator, asked.is_prod) == (False, True)


def test_absent_flags_have_defaults_and_absent_texts_are_empty() -> None:
    asked = {name: BASE[name] for name in ("app_id", "device_id", "version_name", "version_build", "platform")}
    parsed = parse_check(json.dumps({**asked, "plugin_version": "8.0.0"}).encode())
    assert isinstance(parsed, UpdateCheck)
    assert (parsed.is_emulator, parsed.is_prod) == (False, True)
    assert (parsed.default_channel, parsed.install_source, parsed.key_id) == ("", "", "")
    assert (parsed.version_os, parsed.custom_id) == ("", "")


@pytest.mark.parametrize("odd", [5, None, ["x"], {"a": 1}, True])
def test_fields_that_are_not_validated_are_dropped_if_they_are_no_text(odd: Any) -> None:
    asked = check(version_os=odd, custom_id=odd, version_code=odd)
    assert (asked.version_os, asked.custom_id) == ("", "")


def test_builtin_becomes_the_native_version_and_is_remembered() -> None:
    asked = check(version_name="builtin", version_build="2.0")
    assert (asked.version_name, asked.raw_version_name) == ("2.0.0", "builtin")
    assert (check().version_name, check().raw_version_name) == ("2.0.0", "2.0.0")


def test_a_byte_order_mark_is_skipped_and_the_last_of_two_members_counts() -> None:
    assert parse_check(b"\xef\xbb\xbf" + body()) == check()
    assert parse_check(b'{"platform":7,' + body()[1:]) == check()


def test_broken_utf_8_is_replaced_not_refused() -> None:
    parsed = parse_check(body(custom_id="X").replace(b'"X"', b'"\xff"'))
    assert isinstance(parsed, UpdateCheck)
    assert parsed.custom_id == "\ufffd"


@pytest.mark.parametrize("raw", [b"", b"{", b"{oops", b"NaN", b"{}x", b"[1,]", b"[" * 100_000, b"\xef\xbb\xbf"])
def test_what_is_not_json_is_refused(raw: bytes) -> None:
    told = {"error": "invalid_json_parse_body", "message": "Invalid JSON body", "moreInfo": {"e": {}}}
    assert refused(raw) == (400, told)


@pytest.mark.parametrize("value", [None, 42, 0, True, False, 1.5, "", [], {}])
def test_a_body_without_members_is_refused_with_itself(value: Any) -> None:
    told = {"error": "invalid_json_body", "message": "Cannot parse body", "moreInfo": {"body": value}}
    assert refused(json.dumps(value).encode()) == (400, told)


@pytest.mark.parametrize(
    "value", ["hi", [1], [{"device_id": "x"}], {"app_id": "a.b"}, {"device_id": ""}, {"device_id": 0}]
)
def test_a_body_without_a_device_id_is_refused_with_itself(value: Any) -> None:
    told = {"error": "missing_device_id", "message": "Cannot find device_id", "moreInfo": {"body": value}}
    assert refused(json.dumps(value).encode()) == (400, told)


@pytest.mark.parametrize("app_id", [None, "", 0, False])
def test_a_body_without_an_app_id_is_refused_with_its_device_id_in_lower_case(app_id: Any) -> None:
    told = {
        "error": "missing_app_id",
        "message": "Cannot find app_id",
        "moreInfo": {"body": {"device_id": "abc", "app_id": app_id}},
    }
    assert refused(json.dumps({"device_id": "ABC", "app_id": app_id}).encode()) == (400, told)


def test_a_body_that_is_nested_too_deep_to_be_echoed_is_still_refused() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    told = json.loads(Refusal(400, "missing_device_id", "Cannot find device_id", {"body": deep}).body())
    assert told == {"error": "missing_device_id", "message": "Cannot find device_id", "moreInfo": {}}


@pytest.mark.parametrize("raw_build", ["build-9", "1.0.0.0", "abc"])
def test_a_native_version_beyond_repair_ends_parsing_before_the_schema(raw_build: str) -> None:
    status, told = refused(body(version_build=raw_build, platform="web"))
    assert (status, told["error"], told["moreInfo"]) == (400, "semver_error", {"version_build": raw_build})
    assert told["message"].startswith(f"Native version: {raw_build} doesn't follow semver convention, please check ")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"app_id": 7}, ("App ID must be a string", "app_id")),
        ({"app_id": "notes"}, ("App ID must be a reverse domain string", "app_id")),
        ({"app_id": "io.acme\n"}, ("App ID must be a reverse domain string", "app_id")),
        ({"app_id": "io.ácme"}, ("App ID must be a reverse domain string", "app_id")),
        ({"device_id": 42}, ("Device ID must be a string", "device_id")),
        ({"device_id": []}, ("Device ID must be a string", "device_id")),
        ({"device_id": "abc"}, ("Device ID must be a valid UUID string", "device_id")),
        ({"device_id": BASE["device_id"] + "\n"}, ("String must contain at most 36 character(s)", "device_id")),
        ({"device_id": "\U0001f600" * 19}, ("String must contain at most 36 character(s)", "device_id")),
        ({"version_name": ""}, ("Version name is required", "version_name")),
        ({"version_name": None}, ("Version name must be a string", "version_name")),
        ({"version_build": ""}, ("Version build is required", "version_build")),
        ({"version_build": 1}, ("Version build must be a string", "version_build")),
        ({"is_emulator": 1}, ("is_emulator must be a boolean", "is_emulator")),
        ({"is_prod": "true"}, ("is_prod must be a boolean", "is_prod")),
        ({"platform": None}, ("Platform is not supported or invalid", "platform")),
        ({"platform": "iOS"}, ("Platform is not supported or invalid", "platform")),
        ({"plugin_version": None}, ("Plugin version is invalid", "plugin_version")),
        ({"plugin_version": "8.0.0\n8"}, ("Plugin version is invalid", "plugin_version")),
        ({"defaultChannel": None}, ("defaultChannel must be a string", "defaultChannel")),
        ({"install_source": None}, ("install_source must be a string", "install_source")),
        ({"install_source": "s" * 65}, ("String must contain at most 64 character(s)", "install_source")),
        ({"install_source": "\U0001f600" * 33}, ("String must contain at most 64 character(s)", "install_source")),
        ({"key_id": 7}, ("key_id must be a string", "key_id")),
        ({"key_id": "k" * 21}, ("String must contain at most 20 character(s)", "key_id")),
    ],
)
def test_each_field_is_refused_in_its_own_words(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    assert issues(**changes) == [expected]


def test_lengths_are_counted_in_utf_16() -> None:
    assert check(install_source="\U0001f600" * 32).install_source == "\U0001f600" * 32


def test_issues_stand_in_the_order_of_the_fields() -> None:
    everything = check_fields(FIELDS_UPDATES, {field.name: object() for field in FIELDS_UPDATES})
    assert [issue.path for issue in everything] == [
        ("app_id",),
        ("device_id",),
        ("version_name",),
        ("version_build",),
        ("is_emulator",),
        ("is_prod",),
        ("platform",),
        ("plugin_version",),
        ("defaultChannel",),
        ("install_source",),
        ("key_id",),
    ]


def test_builtin_without_a_native_version_lacks_both() -> None:
    asked = {name: value for name, value in BASE.items() if name != "version_build"}
    status, told = refused(json.dumps({**asked, "version_name": "builtin"}).encode())
    assert status == 400
    found = told["moreInfo"]["parseResult"]["error"]["issues"]
    assert [issue["message"] for issue in found] == ["Version name is required", "Version build is required"]


@pytest.mark.parametrize("extra", [{}, {"is_prod": "x"}, {"version_build": "abc"}, {"device_id": ""}])
def test_a_limited_app_is_turned_away_before_its_body_is_judged(extra: dict[str, Any]) -> None:
    asked: list[tuple[str, str]] = []

    def limit(app_id: str, device_id: str) -> Refusal:
        asked.append((app_id, device_id))
        return too_many_requests({"app_id": app_id})

    parsed = parse_check(body(**{"device_id": "ABC", **extra}), limit)
    assert isinstance(parsed, Refusal)
    assert parsed.status == 429
    assert asked == [("io.acme.notes", extra.get("device_id", "abc"))]


def test_the_limit_is_asked_once_and_only_with_an_app_id() -> None:
    asked: list[str] = []
    parse_check(body(), lambda app_id, _device_id: asked.append(app_id))
    parse_check(body(app_id=7), lambda app_id, _device_id: asked.append(app_id))
    parse_check(b"{", lambda app_id, _device_id: asked.append(app_id))
    assert asked == ["io.acme.notes"]


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        (None, "App ID is required"),
        (7, "App ID is required"),
        ("notes", "App ID must be a reverse domain string"),
        ("-io.acme", "App ID must be a reverse domain string"),
        ("io..acme", "App ID must be a reverse domain string"),
        ("com.golden.Case_App-1", None),
    ],
)
def test_the_app_id_of_an_event_is_judged_on_its_own(value: object, complaint: str | None) -> None:
    assert app_id_complaint(value) == complaint
