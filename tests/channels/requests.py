"""Setting and reading channels, as the tests of this room do it in every other line."""

from __future__ import annotations

from typing import Any

from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import APP, World


def put(world: World, channel: str = "beta", /, **members: Any) -> None:
    """Set a channel with the owner's key; it must be accepted."""
    accepted(world.owner.post("/channel", app_id=APP, channel=channel, **members))


def read(world: World, channel: str = "beta") -> dict[str, Any]:
    """The channel as the owner reads it."""
    found: dict[str, Any] = accepted(world.owner.get("/channel", app_id=APP, channel=channel))
    return found


def refusal(world: World, caller: Caller | None = None, channel: str = "beta", **members: Any) -> tuple[int, str]:
    """Status and code with which setting a channel is refused."""
    return refused((caller or world.owner).post("/channel", app_id=APP, channel=channel, **members))
