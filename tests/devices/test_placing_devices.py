"""POST and DELETE /device: overrides and version pins (contract: public 15.2, 15.3, CD-40)."""

from __future__ import annotations

from typing import Any

import pytest

from capstan.access.principal import Binding, KeyMode
from capstan.db.tables import app_versions, channel_devices, channels, device_pins
from tests.devices.ids import DEVICE, numbered
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import APP, ORG, World


@pytest.fixture
def released(world: World) -> World:
    """A world with a bundle 1.0.0, a private channel `beta` and a public one, `production`."""
    world.add_bundle("1.0.0")
    accepted(world.owner.post("/channel", app_id=APP, channel="beta", version="1.0.0"))
    accepted(world.owner.post("/channel", app_id=APP, channel="production", public=True))
    return world


def place(world: World, device_id: str = DEVICE, **members: Any) -> None:
    assert accepted(world.owner.post("/device", app_id=APP, device_id=device_id, **members)) == {"status": "ok"}


def release(world: World, device_id: str = DEVICE) -> None:
    assert accepted(world.owner.delete("/device", app_id=APP, device_id=device_id)) == {"status": "ok"}


def overrides(world: World) -> dict[str, str]:
    names = {row["id"]: row["name"] for row in world.rows(channels)}
    return {row["device_id"]: names[row["channel_id"]] for row in world.rows(channel_devices)}


def pins(world: World) -> dict[str, str]:
    names = {row["id"]: row["name"] for row in world.rows(app_versions)}
    return {row["device_id"]: names[row["app_version_id"]] for row in world.rows(device_pins)}


def counts(world: World) -> tuple[int, int]:
    app = world.app()
    return app["channel_device_count"], app["device_pin_count"]


def refusal(caller: Caller, **members: Any) -> tuple[int, str]:
    return refused(caller.post("/device", app_id=APP, device_id=DEVICE, **members))


# Overrides


def test_a_device_that_was_never_seen_may_be_forced_onto_a_channel(released: World) -> None:
    place(released, channel="beta")
    assert overrides(released) == {DEVICE: "beta"}
    (row,) = released.rows(channel_devices)
    assert (row["app_id"], row["owner_org"]) == (APP, ORG)


def test_another_channel_replaces_the_override(released: World) -> None:
    accepted(released.owner.post("/channel", app_id=APP, channel="staff"))
    place(released, channel="beta")
    first = released.rows(channel_devices)[0]
    place(released, channel="staff")
    (row,) = released.rows(channel_devices)
    assert overrides(released) == {DEVICE: "staff"}
    assert row["created_at"] == first["created_at"]
    assert row["updated_at"] > first["updated_at"]


def test_ids_are_kept_in_lower_case(released: World) -> None:
    place(released, DEVICE.upper(), channel="beta")
    assert overrides(released) == {DEVICE: "beta"}
    release(released, DEVICE.upper())
    assert overrides(released) == {}


def test_input_may_come_from_the_query(released: World) -> None:
    query = {"app_id": APP, "device_id": DEVICE.upper(), "channel": "beta"}
    accepted(released.owner.request("POST", "/device", query=query))
    assert overrides(released) == {DEVICE: "beta"}
    accepted(released.owner.request("DELETE", "/device", body={"app_id": APP, "device_id": DEVICE.upper()}))
    assert overrides(released) == {}


def test_a_channel_must_exist_and_be_private(released: World) -> None:
    answer = released.owner.post("/device", app_id=APP, device_id=DEVICE, channel="none")
    assert refused(answer) == (404, "channel_not_found")
    answer = released.owner.post("/device", app_id=APP, device_id=DEVICE, channel="production")
    assert refused(answer) == (400, "public_channel_override")
    assert answer.json()["message"] == "Cannot set channel override for public channel"
    assert overrides(released) == {}


def test_an_override_stays_when_its_channel_becomes_public(released: World) -> None:
    place(released, channel="beta")
    accepted(released.owner.post("/channel", app_id=APP, channel="beta", public=True))
    assert overrides(released) == {DEVICE: "beta"}


# Pins


def test_the_seed_dialect_pins_a_device_to_a_bundle_by_name(released: World) -> None:
    place(released, version_id="1.0.0")
    assert (pins(released), overrides(released)) == ({DEVICE: "1.0.0"}, {})
    released.add_bundle("2.0.0")
    place(released, version_id="2.0.0")
    assert pins(released) == {DEVICE: "2.0.0"}


def test_pin_and_override_stand_beside_each_other(released: World) -> None:
    place(released, version_id="1.0.0", channel="beta")
    assert (pins(released), overrides(released)) == ({DEVICE: "1.0.0"}, {DEVICE: "beta"})
    release(released)
    assert (pins(released), overrides(released)) == ({}, {})


def test_both_or_neither_are_stored(released: World) -> None:
    assert refusal(released.owner, version_id="1.0.0", channel="none") == (404, "channel_not_found")
    assert refusal(released.owner, version_id="1.0.0", channel="production") == (400, "public_channel_override")
    assert refusal(released.owner, version_id="9.9.9", channel="beta") == (400, "cannot_find_version")
    assert (pins(released), overrides(released), counts(released)) == ({}, {}, (0, 0))


def test_an_unknown_deleted_or_foreign_bundle_cannot_be_pinned(released: World) -> None:
    released.add_bundle("2.0.0", deleted=True)
    released.add_bundle("3.0.0", released.add_app("com.other.app"))
    for version in ("9.9.9", "2.0.0", "3.0.0", "builtin", 12):
        assert refusal(released.owner, version_id=version) == (400, "cannot_find_version")


def test_the_modern_dialect_refuses_bundles_before_any_right(released: World) -> None:
    stranger = released.caller_of_mode("all", released.add_org("Foreign"))
    modern_stranger = released.owner.with_headers({"capgkey": stranger.headers["authorization"]})
    for caller in (released.modern, modern_stranger):
        released.clock.pass_seconds(60)
        answer = caller.post("/device", app_id=APP, device_id=DEVICE, version_id="1.0.0", channel="beta")
        assert refused(answer) == (400, "invalid_version_id")
        assert answer.json()["message"] == "Cannot set version to device, use channel instead"
    released.clock.pass_seconds(60)
    accepted(released.modern.post("/device", app_id=APP, device_id=DEVICE, version_id="", channel="beta"))
    assert (pins(released), overrides(released)) == ({}, {DEVICE: "beta"})


# Refusals and rights


def test_refusals_come_in_the_contracts_order(released: World) -> None:
    stranger = released.caller_of_mode("all", released.add_org("Foreign"))
    for members in ({"app_id": APP}, {"device_id": DEVICE}, {"app_id": "", "device_id": DEVICE}, {"app_id": "bad"}):
        answer = stranger.request("POST", "/device", body={**members, "version_id": "9.9.9", "channel": "none"})
        assert refused(answer) == (400, "missing_device_id_or_app_id")
    bad_app = stranger.post("/device", app_id="bad", device_id=DEVICE, version_id="9.9.9", channel="none")
    assert refused(bad_app) == (400, "invalid_app_id")
    assert refusal(stranger, version_id="9.9.9", channel="none") == (400, "cannot_access_app")
    assert refusal(stranger) == (400, "cannot_access_app")
    assert refusal(stranger, channel="beta") == (404, "channel_not_found")
    unknown_app = released.owner.post("/device", app_id="com.unknown.app", device_id=DEVICE, channel="beta")
    assert refused(unknown_app) == (404, "channel_not_found")


def test_wrong_types_are_an_invalid_body(released: World) -> None:
    for members in ({"channel": 5}, {"channel": ["beta"]}, {"version_id": ["1.0.0"]}, {"version_id": True}):
        assert refusal(released.owner, **members) == (400, "invalid_body")
    for device_id in (5, [DEVICE], "x" * 37):
        answer = released.owner.post("/device", app_id=APP, device_id=device_id, channel="beta")
        assert refused(answer) == (400, "invalid_body")


def test_a_device_id_need_not_be_a_uuid(released: World) -> None:
    for device_id in ("x", "İSTANBUL", "ÄÖÜ", "x" * 36):
        place(released, device_id, channel="beta")
        release(released, device_id)
    assert counts(released) == (0, 0)


def test_naming_neither_channel_nor_bundle_is_a_question_about_rights(released: World) -> None:
    place(released)
    place(released, channel="", version_id="")
    place(released, channel=None, version_id=None)
    reader = released.caller_of_mode("read")
    assert refusal(reader) == (400, "cannot_access_app")
    assert (pins(released), overrides(released)) == ({}, {})


@pytest.mark.parametrize(("mode", "may"), [("read", False), ("upload", False), ("write", True), ("all", True)])
def test_keys_that_write_may_place_devices(released: World, mode: KeyMode, may: bool) -> None:
    caller = released.caller_of_mode(mode)
    if may:
        accepted(caller.post("/device", app_id=APP, device_id=DEVICE, channel="beta", version_id="1.0.0"))
        accepted(caller.delete("/device", app_id=APP, device_id=DEVICE))
        return
    assert refusal(caller, channel="beta") == (400, "cannot_access_channel")
    assert refusal(caller, version_id="1.0.0") == (400, "cannot_access_app")
    assert refused(caller.delete("/device", app_id=APP, device_id=DEVICE)) == (400, "cannot_access_app")


def test_rights_on_one_channel_are_enough_for_that_channel(released: World) -> None:
    beta = next(row for row in released.rows(channels) if row["name"] == "beta")
    accepted(released.owner.post("/channel", app_id=APP, channel="staff"))
    caller = released.caller_with_roles(released.on_channel("channel_developer", beta))
    accepted(caller.post("/device", app_id=APP, device_id=DEVICE, channel="beta"))
    assert refusal(caller, channel="staff") == (404, "channel_not_found")
    assert refusal(caller, version_id="1.0.0") == (400, "cannot_access_app")
    reader = released.caller_with_roles(released.on_channel("channel_reader", beta))
    answer = reader.post("/device", app_id=APP, device_id=DEVICE, channel="beta")
    assert refused(answer) == (400, "cannot_access_channel")
    assert answer.json()["moreInfo"] == {"app_id": APP, "channel": "beta"}


# Taking it back


def test_releasing_a_device_that_has_nothing_is_no_failure(world: World) -> None:
    release(world)
    release(world, "never seen")
    release(world, "x" * 5000)


def test_refusals_of_a_release_come_in_the_contracts_order(world: World) -> None:
    stranger = world.caller_with_roles(Binding.on_org("org_member", ORG))

    def code(**query: str) -> tuple[int, str]:
        return refused(stranger.delete("/device", **query))

    assert code(device_id="") == (400, "missing_app_id")
    assert code(app_id="bad") == (400, "missing_device_id")
    assert code(app_id="bad", device_id=DEVICE) == (400, "invalid_app_id")
    assert code(app_id="com.unknown.app", device_id=DEVICE) == (400, "cannot_access_app")
    assert code(app_id=APP, device_id=DEVICE) == (400, "cannot_access_app")


def test_the_device_itself_stays(released: World) -> None:
    released.add_device(DEVICE)
    place(released, channel="beta")
    release(released)
    device = accepted(released.modern.get("/device", app_id=APP, device_id=DEVICE))
    assert "channel" not in device


# What goes with it


def test_the_apps_counts_follow(released: World) -> None:
    seen = []
    place(released, channel="beta")
    seen.append(counts(released))
    place(released, channel="beta", version_id="1.0.0")
    seen.append(counts(released))
    place(released, numbered(2), version_id="1.0.0")
    seen.append(counts(released))
    place(released, numbered(2), version_id="1.0.0")
    seen.append(counts(released))
    release(released)
    seen.append(counts(released))
    release(released)
    release(released, numbered(2))
    seen.append(counts(released))
    assert seen == [(1, 0), (1, 1), (1, 2), (1, 2), (0, 1), (0, 0)]


def test_the_state_of_one_device_moves_no_revision_and_is_not_audited(released: World) -> None:
    def trace() -> tuple[int, int]:
        rooms = ("apps", "channels", "app_versions", "orgs", "org_users")
        return released.app()["revision"], sum(len(released.audit_of(room)) for room in rooms)

    before = trace()
    place(released, channel="beta", version_id="1.0.0")
    release(released)
    assert trace() == before
