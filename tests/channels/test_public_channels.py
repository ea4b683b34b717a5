"""One public channel for each platform of an app (contract: public 7.5, 14.2)."""

from __future__ import annotations

from capstan.db.tables import channels
from tests.channels.requests import put, read
from tests.public_api.plane import accepted
from tests.public_api.world import World


def test_a_channel_made_public_takes_the_place_of_the_others_on_its_platforms(world: World) -> None:
    put(world, "mobile", public=True, ios=True, android=True, electron=False)
    put(world, "desktop", public=True, ios=False, android=False, electron=True)
    assert (read(world, "mobile")["public"], read(world, "desktop")["public"]) == (True, True)
    put(world, "tablet", public=True, ios=True, android=False, electron=False)
    assert [read(world, name)["public"] for name in ("mobile", "desktop", "tablet")] == [False, True, True]


def test_a_public_channel_that_gains_a_platform_takes_that_place_too(world: World) -> None:
    put(world, "mobile", public=True, electron=False)
    put(world, "desktop", public=True, ios=False, android=False, electron=True)
    put(world, "mobile", electron=True)
    assert [read(world, name)["public"] for name in ("mobile", "desktop")] == [True, False]


def test_a_private_channel_takes_nobodys_place(world: World) -> None:
    put(world, "production", public=True)
    put(world, "beta", public=False, ios=True)
    put(world, "beta", android=True)
    assert read(world, "production")["public"] is True


def test_public_channels_of_other_apps_stay_public(world: World) -> None:
    world.add_app("com.other.app")
    accepted(world.owner.post("/channel", app_id="com.other.app", channel="production", public=True))
    put(world, "production", public=True)
    assert [row["public"] for row in world.rows(channels)] == [True, True]


def test_making_a_demoted_channel_public_again_swaps_the_two(world: World) -> None:
    put(world, "a", public=True)
    put(world, "b", public=True)
    put(world, "a", public=True)
    assert [read(world, name)["public"] for name in ("a", "b")] == [True, False]


ONE_SIDED: list[tuple[dict[str, bool | None], bool]] = [
    ({"public": True}, True),
    ({"public": True, "ios": True, "android": True}, True),
    ({"public": True, "ios": False, "android": False}, True),
    ({"public": True, "ios": True}, False),
    ({"public": True, "android": False}, False),
    ({"public": True, "ios": True, "android": False}, False),
    ({"public": True, "ios": True, "android": None}, False),
    ({"public": True, "ios": True, "android": False, "electron": True}, True),
    ({"public": False, "ios": True, "android": False}, True),
    ({"ios": True, "android": False}, True),
]


def test_a_channel_made_public_for_one_mobile_platform_is_not_for_desktops(world: World) -> None:
    for number, (members, electron) in enumerate(ONE_SIDED):
        put(world, f"new {number}", **members)
        assert read(world, f"new {number}")["electron"] is electron
        put(world, f"existing {number}")
        put(world, f"existing {number}", **members)
        assert read(world, f"existing {number}")["electron"] is electron
