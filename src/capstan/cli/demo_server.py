"""The demo's server: a process of its own on a free port, with everything it keeps in one folder."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from capstan.access.principal import SystemPrincipal
from capstan.cli.credentials import origin
from capstan.cli.failures import Failure
from capstan.cli.listener import open_listener
from capstan.cli.server_side import stores
from capstan.cli.workers import Worker
from capstan.settings import Settings, load
from capstan.settings.table import ENVIRONMENT_PREFIX
from capstan.setup.service import Owner, claim

DEMO = SystemPrincipal("demo")


@dataclass(frozen=True, slots=True)
class DemoServer:
    url: str
    key: str


@asynccontextmanager
async def demo_server(folder: Path, port: int) -> AsyncIterator[DemoServer]:
    """A server that answers; it ends with the block, or with this process."""
    flags = {"data_dir": str(folder), "host": "127.0.0.1", "port": str(port), "log_level": "warning"}
    settings = load(flags, {})
    with open_listener(settings.host, settings.port) as listener:
        key = await asyncio.to_thread(_first_key, settings)
        worker = await Worker.start(listener, dict(flags), _without_settings(os.environ))
        try:
            if not await worker.answers():
                raise Failure("The demo's server could not start.")
            yield DemoServer(origin(settings, settings.host, listener.getsockname()[1]), key)
        finally:
            await worker.stop()


def _first_key(settings: Settings) -> str:
    with stores(settings) as opened, opened.registry.write(DEMO) as session:
        return claim(session, opened.secret_box, Owner(organization="Demo")).api_key


def _without_settings(environ: Mapping[str, str]) -> dict[str, str]:
    """What the operator set is for the operator's server."""
    return {name: value for name, value in environ.items() if not name.startswith(ENVIRONMENT_PREFIX)}
