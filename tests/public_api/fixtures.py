"""Fixtures of every suite that speaks to the public API; `tests/conftest.py` makes them known everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from capstan.db.session import Registry
from tests.public_api.world import World


@pytest.fixture(scope="session")
def event_loop_runner() -> Iterator[asyncio.Runner]:
    """The loop on which requests are answered."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def world(registry: Registry, telemetry_engine: Engine, event_loop_runner: asyncio.Runner) -> World:
    """The public API over databases that hold an owner, an organization, an app and a key."""
    return World(registry, telemetry_engine, event_loop_runner)
