"""What every route shares: paths, methods, where input comes from, what is refused in it (contract: public 2, 4)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, World

DEVICE = "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10"


def test_a_route_is_found_with_a_trailing_slash_and_below_the_prefix(world: World) -> None:
    for path in ("/channel", "/channel/", "/functions/v1/channel", "/functions/v1/channel/"):
        assert accepted(world.owner.get(path, app_id=APP)) == []
        assert accepted(world.owner.post(path, app_id=APP, channel="beta")) == {"status": "ok"}
        assert accepted(world.owner.delete(path, app_id=APP, channel="beta")) == {"status": "ok"}


def test_an_unknown_path_or_method_is_not_found(world: World) -> None:
    for method, path in (
        ("PATCH", "/channel"),
        ("PUT", "/channel"),
        ("PATCH", "/device"),
        ("PUT", "/device"),
        ("PATCH", "/organization"),
        ("TRACE", "/organization"),
        ("GET", "/Channel"),
        ("GET", "/nothing"),
        ("GET", "/channel/beta"),
    ):
        answer = world.owner.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (404, "not_found")
        assert answer.json()["message"] == "Not found"


def test_head_is_get_without_a_body(world: World) -> None:
    for path in ("/channel", "/device", "/organization"):
        answer = world.owner.request("HEAD", path, query={"app_id": APP})
        assert answer.status_code == world.owner.get(path, app_id=APP).status_code == 200
        assert answer.content == b""
    assert world.owner.request("HEAD", "/channel").status_code == 400


def test_bad_credentials_are_refused_before_anything_else(world: World) -> None:
    bad: list[tuple[dict[str, str], str]] = [
        ({}, "no_key_provided"),
        ({"authorization": "nope"}, "invalid_apikey"),
        ({"authorization": "a.b.c"}, "invalid_apikey"),
        ({"capgkey": "nope"}, "invalid_apikey"),
        ({"x-api-key": "nope"}, "invalid_apikey"),
    ]
    for headers, code in bad:
        for path in ("/channel", "/device", "/organization"):
            assert refused(world.owner.with_headers(headers).get(path)) == (401, code)


def test_a_malformed_sub_key_is_refused(world: World) -> None:
    for sub_key in ("abc", "", "0", "-1", "1.0", "99999999999999999999"):
        caller = world.owner.also_sending({"x-limited-key-id": sub_key})
        assert refused(caller.get("/device", app_id=APP)) == (401, "invalid_subkey")


def test_a_key_is_understood_in_every_header(world: World) -> None:
    for header in ("authorization", "capgkey", "x-api-key"):
        caller = world.owner.with_headers({header: world.secret})
        assert accepted(caller.get("/organization", orgId=ORG))["id"] == ORG
    bearer = world.owner.with_headers({"authorization": f"Bearer {world.secret}"})
    assert accepted(bearer.get("/organization", orgId=ORG))["id"] == ORG


def test_a_write_without_input_is_refused(world: World) -> None:
    for body in (b"", b"{}", b"null", b"[]", b"not json", b"{", b'"text"', b"5", b'[{"app_id":1}]'):
        for path in ("/channel", "/device"):
            answer = world.owner.request("DELETE", path, content=body)
            assert refused(answer) == (400, "invalid_json_parse_body")
            assert answer.json()["message"] == "Invalid JSON body"
            assert "e" in answer.json()["moreInfo"]


@pytest.mark.parametrize(("path", "code"), [("/channel", "missing_app_id"), ("/device", "missing_device_id_or_app_id")])
def test_an_empty_object_meets_the_first_check_of_the_endpoint(world: World, path: str, code: str) -> None:
    assert refused(world.owner.request("POST", path, body={})) == (400, code)
    assert refused(world.owner.request("POST", path)) == (400, "invalid_json_parse_body")


def test_an_empty_body_does_not_hide_the_query(world: World) -> None:
    query = {"app_id": APP, "channel": "beta", "public": "true", "rolloutPercentageBps": "250"}
    for body in (b"{}", b"null", b"[]", b"", b"<xml/>"):
        accepted(world.owner.request("POST", "/channel", query=query, content=body))
        channel = accepted(world.owner.get("/channel", app_id=APP, channel="beta"))
        assert (channel["public"], channel["rolloutPercentageBps"]) == (True, 250)
        gone = world.owner.request("DELETE", "/channel", query={"app_id": APP, "channel": "beta"}, content=body)
        assert accepted(gone) == {"status": "ok"}


def test_a_body_hides_the_query_whole(world: World) -> None:
    answer = world.owner.request("DELETE", "/channel", query={"channel": "beta"}, body={"app_id": APP})
    assert refused(answer) == (400, "missing_channel_name")


def test_of_a_repeated_parameter_the_first_counts(world: World) -> None:
    assert accepted(world.owner.request("GET", f"/channel?app_id={APP}&app_id=no")) == []


def test_nul_in_a_text_is_refused_wherever_it_stands(world: World) -> None:
    text = "be\0ta"
    bad = (400, "invalid_body")
    assert refused(world.owner.post("/channel", app_id=APP, channel=text)) == bad
    assert refused(world.owner.post("/channel", app_id=APP, channel="beta", version=text)) == bad
    assert refused(world.owner.post("/channel", app_id=APP, channel="beta", unknown=[{"deep": text}])) == bad
    assert refused(world.owner.post("/channel", app_id=APP, channel="beta", **{f"x{text}": 1})) == bad
    assert refused(world.owner.get("/channel", app_id=APP, channel=text)) == bad
    assert refused(world.owner.delete("/device", app_id=APP, device_id=text)) == bad
    assert refused(world.owner.get("/device", app_id=APP, device_id=text)) == bad
    assert refused(world.owner.get("/device", app_id=APP, cursor=f"{text}|")) == bad
    assert refused(world.owner.get("/organization", orgId=text)) == bad


def test_an_integer_beyond_64_bits_is_refused(world: World) -> None:
    world.add_bundle("1.0.0")
    accepted(world.owner.post("/channel", app_id=APP, channel="beta", version="1.0.0"))
    bad = (400, "invalid_body")
    for number in (2**63, -(2**63) - 1, 2**64, 10**40):
        assert refused(world.owner.post("/channel", app_id=APP, channel="beta", rolloutVersion=number)) == bad
        assert refused(world.owner.post("/channel", app_id=APP, channel="beta", rolloutPercentageBps=number)) == bad
        assert refused(world.owner.get("/channel", app_id=APP, page=number)) == bad
        assert refused(world.owner.request("GET", "/channel", body={"app_id": APP, "page": number})) == bad


def test_an_integer_may_be_written_as_a_float(world: World) -> None:
    body = f'{{"app_id": "{APP}", "channel": "beta", "rolloutPercentageBps": 3e3, "autoPauseMinAttempts": 4.0}}'
    accepted(world.owner.request("POST", "/channel", content=body.encode()))
    channel = accepted(world.owner.get("/channel", app_id=APP, channel="beta"))
    assert (channel["rolloutPercentageBps"], channel["autoPauseMinAttempts"]) == (3000, 4)


def test_a_broken_body_is_no_failure_of_the_server(world: World) -> None:
    for body in (b'{"app_id":"\\ud800"}', b"\xff\xfe", b"[" * 100_000, b'{"a":' * 5_000):
        assert refused(world.owner.request("POST", "/channel", content=body)) == (400, "invalid_json_parse_body")


def test_a_body_over_the_limit_is_refused(world: World) -> None:
    assert refused(world.owner.request("POST", "/channel", content=b" " * 200_000)) == (413, "body_too_large")


def test_an_app_id_that_is_no_text_is_refused(world: World) -> None:
    values: list[Any] = [5, True, [], {}, None]
    for value in values:
        for method in ("POST", "DELETE"):
            answer = world.owner.request(method, "/channel", body={"app_id": value, "channel": "beta"})
            assert refused(answer) == (400, "missing_app_id" if value is None else "invalid_body")


def test_a_malformed_app_id_is_named(world: World) -> None:
    for app_id in ["invalid_app", "com", "com.", ".com", "com.demo app", "com.demo.app\n", "com..a"]:
        for answer in (
            world.owner.get("/channel", app_id=app_id),
            world.owner.get("/device", app_id=app_id),
            world.owner.post("/channel", app_id=app_id, channel="beta"),
            world.owner.post("/device", app_id=app_id, device_id=DEVICE),
            world.owner.delete("/channel", app_id=app_id, channel="beta"),
            world.owner.delete("/device", app_id=app_id, device_id=DEVICE),
        ):
            assert refused(answer) == (400, "invalid_app_id")
            assert answer.json()["message"] == "App ID must be a reverse domain string"
            assert answer.json()["moreInfo"] == {"app_id": app_id}
