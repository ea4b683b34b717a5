"""A rollout with a fleet that reports what happened to it, written as the device plane would have written it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import RowMapping, insert

from capstan.channels import service as channels
from capstan.channels.asked import Asked
from capstan.jobs.job import Done
from capstan.rollouts.service import watch_rollouts
from capstan.telemetry.tables import events
from tests.jobs.runs import Clock, FreeRun
from tests.public_api.world import APP, SYSTEM, World, epoch_ms

STABLE, ROLLOUT = "1.0.0", "1.1.0"


class Rollout:
    """The channel `production` with 1.0.0, to which 1.1.0 rolls out at 50 %, watched with a threshold of 5 %."""

    def __init__(self, world: World, app_id: str = APP, **asked: Any) -> None:
        self.world = world
        self.app_id = app_id
        self.clock = Clock()
        self._devices = itertools.count(1)
        for name in (STABLE, ROLLOUT):
            world.add_bundle(name, app_id)
        said: dict[str, Any] = {
            "version": STABLE,
            "public": True,
            "rollout_percentage_bps": 5000,
            "rollout_enabled": True,
            "auto_pause_enabled": True,
            "auto_pause_failure_rate_bps": 500,
        }
        self.set(**said)
        self.set(rollout_version=ROLLOUT, **asked)

    def set(self, **asked: Any) -> None:
        """Change the channel as an operator would."""
        with self.world.registry.write(SYSTEM) as session:
            channels.save(session, SYSTEM, self.app_id, "production", Asked(**asked))  # type: ignore[typeddict-item]  # tests say what they like

    @property
    def channel(self) -> RowMapping:
        with self.world.registry.read() as session:
            row = channels.find(session, self.app_id, "production")
        assert row is not None
        return row

    def watch(self) -> Done:
        return watch_rollouts(self.world.registry, self.world.telemetry, FreeRun(self.clock()))

    def devices(self, count: int) -> Iterator[str]:
        """So many new devices."""
        for number in itertools.islice(self._devices, count):
            yield f"{number:08x}-0000-4000-8000-000000000000"

    def installs(self, count: int) -> list[str]:
        """Devices that confirmed the rollout's bundle just now."""
        return [self.report(device, "set", usage="install") for device in self.devices(count)]

    def fails(self, count: int) -> list[str]:
        """Devices that could not apply the rollout's bundle just now."""
        return [self.report(device, "update_fail", usage="fail") for device in self.devices(count)]

    def report(
        self, device: str, action: str, *, usage: str | None = None, ago: timedelta = timedelta(), **columns: Any
    ) -> str:
        """An event of the log about the rollout's bundle; what counts as usage is attributed to the channel."""
        moment: datetime = self.clock() - ago
        row = {
            "app_id": self.app_id,
            "device_id": device,
            "action": action,
            "version_name": ROLLOUT,
            "created_at": epoch_ms(moment),
            "platform": "ios",
            "plugin_version": "8.47.0",
            "usage": usage,
            "usage_version": ROLLOUT if usage else None,
            "channel_id": self.channel["id"] if usage else None,
            **columns,
        }
        with self.world.telemetry.connect().execution_options(capstan_writes=True) as connection, connection.begin():
            connection.execute(insert(events).values(row))
        return device
