"""What devices say about themselves (contract: device 1.1, 2.1, 7.1)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from capstan.simulator import Platform
from tests.simulator.conftest import DEVICE_ID, World

ANDROID, IOS, ELECTRON = Platform.ANDROID, Platform.IOS, Platform.ELECTRON
KEY_ID = "MIIBCgKCAQEAtestAAAA"
ABSENT = object()


def checked(world: World, platform: Platform, plugin_version: str, **more: Any) -> dict[str, Any]:
    asyncio.run(world.device(platform, plugin_version, **more).check())
    body: dict[str, Any] = world.server.requests("/updates")[0].json
    return body


def test_a_check_says_everything_that_the_contract_names(world: World) -> None:
    body = checked(world, ANDROID, "8.51.14", install_source="google_play", key_id=KEY_ID, custom_id="mia")
    assert body == {
        "platform": "android",
        "device_id": DEVICE_ID,
        "app_id": "io.acme.notes",
        "custom_id": "mia",
        "version_build": "2.0.0",
        "version_code": "1",
        "version_os": "14",
        "version_name": "2.0.0",
        "plugin_version": "8.51.14",
        "is_emulator": False,
        "is_prod": True,
        "defaultChannel": "",
        "install_source": "google_play",
        "key_id": KEY_ID,
    }
    asked = world.server.requests("/updates")[0]
    assert asked.method == "POST"
    assert asked.headers["user-agent"] == "CapacitorUpdater/8.51.14 (io.acme.notes) android/14"


@pytest.mark.parametrize(
    ("platform", "plugin_version", "field", "sent"),
    [
        (ANDROID, "8.51.14", "custom_id", ""),
        (IOS, "8.51.14", "custom_id", ABSENT),
        (ELECTRON, "0.0.1", "custom_id", None),
        (IOS, "8.51.14", "defaultChannel", ABSENT),
        (ANDROID, "5.4.9", "defaultChannel", ABSENT),
        (ANDROID, "5.5.0", "defaultChannel", ""),
        (ANDROID, "8.49.9", "install_source", ABSENT),
        (ANDROID, "8.50.0", "install_source", ""),
        (ANDROID, "8.1.9", "key_id", ABSENT),
        (ANDROID, "8.2.0", "key_id", KEY_ID[:4]),
        (ANDROID, "8.40.7", "key_id", KEY_ID[:4]),
        (ANDROID, "8.40.8", "key_id", KEY_ID),
        (ANDROID, "7.27.0", "version_name", "builtin"),
        (ANDROID, "8.0.0", "version_name", "2.0.0"),
        (IOS, "8.51.14", "version_name", "builtin"),
        (ELECTRON, "0.0.1", "version_name", "2.0.0"),
    ],
)
def test_a_field_is_sent_as_the_platform_and_the_release_send_it(
    world: World, platform: Platform, plugin_version: str, field: str, sent: object
) -> None:
    assert checked(world, platform, plugin_version, key_id=KEY_ID).get(field, ABSENT) == sent


def test_a_default_channel_goes_with_checks_and_events(world: World) -> None:
    async def story() -> None:
        device = world.device(default_channel="beta")
        await device.check()
        device.report("ping")
        await device.deliver()

    asyncio.run(story())
    assert world.server.requests("/updates")[0].json["defaultChannel"] == "beta"
    assert world.server.events()[-1]["defaultChannel"] == "beta"


@pytest.mark.parametrize(
    ("plugin_version", "extra"),
    [
        ("8.46.0", {"old_version_name": "1.0.0", "metadata": {"why": "test"}}),
        ("8.45.0", {"old_version_name": "1.0.0"}),
        ("5.8.9", {}),
    ],
)
def test_an_event_carries_what_the_release_knows(world: World, plugin_version: str, extra: dict[str, Any]) -> None:
    async def story() -> None:
        device = world.device(plugin_version=plugin_version)
        device.report("set", "2.1.0", old_version_name="1.0.0", metadata={"why": "test"})
        await device.deliver()

    asyncio.run(story())
    event = world.server.events()[0]
    assert (event["action"], event["version_name"], event["device_id"]) == ("set", "2.1.0", DEVICE_ID)
    assert event["timestamp"] == int(world.clock.now() * 1000)
    assert {name: event[name] for name in ("old_version_name", "metadata") if name in event} == extra


def test_electron_says_nothing_of_a_custom_id_in_events(world: World) -> None:
    async def story() -> None:
        device = world.device(ELECTRON, "0.0.1")
        device.report("ping")
        await device.deliver()

    asyncio.run(story())
    event = world.server.events()[0]
    assert "custom_id" not in event
    assert (event["bundle_id"], event["message"]) == ("2.0.0", "ping")
