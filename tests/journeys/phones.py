"""Installed apps with the updater plugin in them, for journeys: simulated devices over real HTTP."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from pathlib import Path

import httpx

from capstan.simulator import Endpoints, Identity, Platform, Setup, SimulatedDevice

READS_MANIFESTS = "8.51.14"
KNOWS_ONLY_ZIPS = "6.2.0"


def phone(
    url: str,
    client: httpx.AsyncClient,
    folder: Path,
    *,
    app_id: str,
    device_id: str | None = None,
    native: str = "1.0.0",
    plugin_version: str = READS_MANIFESTS,
    builtin: Mapping[str, bytes] | None = None,
) -> SimulatedDevice:
    """A phone that keeps its files in a folder; a new one without `device_id`.

    Its app came from the store in the version `native`, with the files `builtin`.
    """
    identity = Identity(app_id, device_id or str(uuid.uuid4()), Platform.ANDROID, native, plugin_version)
    return SimulatedDevice(identity, Setup(Endpoints.below(url), builtin or {}), client, folder)


def files_on(device: SimulatedDevice) -> dict[str, str]:
    """The SHA-256 of every file of the bundle that runs, by its path."""
    return {path: hashlib.sha256(device.file(path)).hexdigest() for path in device.files()}
