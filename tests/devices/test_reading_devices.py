"""GET /device: one device, in both dialects, and who may (contract: public 15.1)."""

from __future__ import annotations

from typing import Any

import pytest

from capstan.access.principal import Binding, KeyMode
from tests.devices.ids import DEVICE, numbered
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, FIRST_MOMENT, ORG, World, epoch_ms

COMMON = {
    "updated_at": "2026-01-01T00:00:00.000Z",
    "device_id": DEVICE,
    "custom_id": "",
    "is_prod": True,
    "is_emulator": False,
    "install_source": None,
    "version_name": "1.0.0",
    "app_id": APP,
    "platform": "ios",
    "plugin_version": "8.0.0",
    "os_version": "18.1",
    "version_build": "builtin",
    "key_id": None,
    "country_code": None,
}


def test_the_modern_device_names_its_bundle_by_id(world: World) -> None:
    bundle = world.add_bundle("1.0.0")
    world.add_device(DEVICE)
    assert accepted(world.modern.get("/device", app_id=APP, device_id=DEVICE)) == {**COMMON, "version": bundle}


def test_the_seed_device_names_its_bundle_by_id_and_name(world: World) -> None:
    bundle = world.add_bundle("1.0.0")
    world.add_device(DEVICE, created_at=epoch_ms(FIRST_MOMENT) - 1)
    assert accepted(world.owner.get("/device", app_id=APP, device_id=DEVICE)) == {
        **COMMON,
        "created_at": "2025-12-31T23:59:59.999Z",
        "version": {"id": bundle, "name": "1.0.0"},
        "version_id": bundle,
    }


def test_an_unknown_bundle_has_no_id(world: World) -> None:
    world.add_device(DEVICE, version_name="9.9.9")
    assert accepted(world.modern.get("/device", app_id=APP, device_id=DEVICE)) == {**COMMON, "version_name": "9.9.9"}
    seed = accepted(world.owner.get("/device", app_id=APP, device_id=DEVICE))
    assert (seed["version"], seed["version_id"]) == ({"id": 0, "name": "9.9.9"}, 0)


def test_a_device_that_told_nothing_runs_an_unknown_version(world: World) -> None:
    world.add_device(DEVICE, version_name="")
    assert accepted(world.owner.get("/device", app_id=APP, device_id=DEVICE))["version"] == {"id": 0, "name": "unknown"}


def test_what_the_device_told_is_shown(world: World) -> None:
    told: dict[str, Any] = {
        "custom_id": "alice",
        "is_prod": False,
        "is_emulator": True,
        "install_source": "google_play",
        "platform": "android",
        "version_build": "2.0.0",
        "key_id": "MIIB",
        "country_code": "KR",
    }
    world.add_device(DEVICE, **told)
    for caller in (world.owner, world.modern):
        device = accepted(caller.get("/device", app_id=APP, device_id=DEVICE))
        assert {name: device[name] for name in told} == told


def test_bundles_of_other_apps_give_no_id(world: World) -> None:
    world.add_bundle("1.0.0", world.add_app("com.other.app"))
    world.add_device(DEVICE)
    assert "version" not in accepted(world.modern.get("/device", app_id=APP, device_id=DEVICE))


def test_the_channel_is_that_of_the_override(world: World) -> None:
    world.add_device(DEVICE)
    accepted(world.owner.post("/channel", app_id=APP, channel="beta"))
    accepted(world.owner.post("/device", app_id=APP, device_id=DEVICE, channel="beta"))
    for caller in (world.owner, world.modern):
        assert accepted(caller.get("/device", app_id=APP, device_id=DEVICE))["channel"] == "beta"
    assert accepted(world.modern.get("/device", app_id=APP, limit=5))["data"][0]["channel"] == "beta"


def test_the_id_may_be_written_in_upper_case(world: World) -> None:
    world.add_device(DEVICE)
    asked = {"app_id": APP, "device_id": DEVICE.upper()}
    for answer in (
        world.owner.request("GET", "/device", query=asked),
        world.owner.request("GET", "/device", body=asked),
    ):
        assert accepted(answer)["device_id"] == DEVICE


def test_an_unknown_device_is_not_found(world: World) -> None:
    world.add_device(DEVICE, world.add_app("com.other.app"))
    for device_id in (DEVICE, "x", "x" * 5000, "' or 1=1 --"):
        answer = world.owner.get("/device", app_id=APP, device_id=device_id)
        assert refused(answer) == (404, "device_not_found")
        assert answer.json()["message"] == "Cannot find device"
        assert answer.json()["moreInfo"] == {"device_id": device_id}


def test_list_parameters_are_unread_for_one_device_but_choose_the_dialect(world: World) -> None:
    world.add_device(DEVICE)
    bad = {"limit": "x", "order": "up", "updated_at": "x", "customIdMode": "x", "cursor": "x", "page": "x"}
    for name, value in bad.items():
        world.clock.pass_seconds(1)
        one = accepted(world.owner.get("/device", app_id=APP, device_id=DEVICE, **{name: value}))
        assert isinstance(one.get("version"), dict) is (name == "page")
    assert isinstance(accepted(world.modern.get("/device", app_id=APP, device_id=DEVICE, page="x"))["version"], dict)


@pytest.mark.parametrize("mode", ["read", "upload", "write", "all"])
def test_a_key_of_any_mode_reads_devices(world: World, mode: KeyMode) -> None:
    world.add_device(DEVICE)
    assert len(accepted(world.caller_of_mode(mode).get("/device", app_id=APP))) == 1


def test_roles_that_do_not_read_devices_are_refused(world: World) -> None:
    world.add_device(DEVICE)
    for binding in (Binding.on_org("org_member", ORG), world.on_app("app_preview"), world.on_app("app_notifications")):
        caller = world.caller_with_roles(binding)
        assert refused(caller.get("/device", app_id=APP)) == (400, "cannot_access_app")
        assert refused(caller.get("/device", app_id=APP, device_id=DEVICE)) == (400, "cannot_access_app")
    assert len(accepted(world.caller_with_roles(world.on_app("app_reader")).get("/device", app_id=APP))) == 1


def test_the_app_comes_before_everything_else(world: World) -> None:
    world.add_app("com.foreign.app", world.add_org("Foreign"))
    for query in ({}, {"device_id": numbered(1)}, {"order": "up", "limit": "0"}):
        assert refused(world.owner.get("/device", **query)) == (400, "missing_app_id")
        assert refused(world.owner.get("/device", app_id="invalid_app", **query)) == (400, "invalid_app_id")
        for app_id in ("com.foreign.app", "com.unknown.app"):
            answer = world.owner.get("/device", app_id=app_id, **query)
            assert refused(answer) == (400, "cannot_access_app")
            assert answer.json()["moreInfo"] == {"app_id": app_id}
