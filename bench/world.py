"""What is released where: two apps of one organization, and the devices that ask for their bundles.

`ZIP_APP`'s bundles are a zip alone; `DELTA_APP`'s newest has 500 delta files too, as every zip that Capstan unpacks.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.device_world import World, seed

from capstan.settings import load
from capstan.simulator import LightFleet
from capstan.stores import open_stores

ZIP_APP = "com.example.zip"
DELTA_APP = "com.example.delta"
OLD, CURRENT = "1.0.0", "1.1.0"
DELTA_FILES = 500

_ORG = "00000001-0000-4000-8000-00000000be2c"
_PERSON = "00000002-0000-4000-8000-00000000be2c"


def up_to_date(app_id: str = ZIP_APP) -> LightFleet:
    """Devices that run what their channel offers."""
    return LightFleet(app_id, running=(CURRENT,))


def behind(app_id: str = ZIP_APP) -> LightFleet:
    """The same devices while they run the bundle before it."""
    return LightFleet(app_id, running=(OLD,))


def mostly_up_to_date(app_id: str = ZIP_APP) -> LightFleet:
    """The same devices, one in sixteen of them running the bundle before."""
    return LightFleet(app_id, running=(CURRENT,) * 15 + (OLD,))


def make_world(data_dir: Path) -> str:
    """Fill a new data directory; gives an API key that may publish."""
    _capstan("setup", data_dir)
    with open_stores(load({"data_dir": str(data_dir)}, os.environ)) as stores:
        seed(stores.registry.engine, _world())
    key: str = _capstan("key", "create", data_dir, "--mode", "all", "--organization", _ORG)["api_key"]
    return key


def _capstan(*words: str | Path) -> dict[str, Any]:
    """Run a server-side command on a data directory, the one path among the words."""
    arguments = [part for word in words for part in (("--data-dir", str(word)) if isinstance(word, Path) else (word,))]
    command = (sys.executable, "-m", "capstan.cli", *arguments, "--json")
    answer: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return answer


def _world() -> World:
    apps = {ZIP_APP: 1000, DELTA_APP: 2000}
    return {
        "orgs": [
            {
                "id": _ORG,
                "name": "Bench",
                "created_by": _PERSON,
                "management_email": "bench@example.org",
                "customer_id": None,
                "has_usage_credits": False,
                "plan": None,
            }
        ],
        "apps": [{"app_id": app_id, "owner_org": _ORG, "name": app_id} for app_id in apps],
        "versions": [
            _version(first_id + number, app_id, name)
            for app_id, first_id in apps.items()
            for number, name in enumerate(("builtin", "unknown", OLD, CURRENT))
        ],
        "manifest": [_file(apps[DELTA_APP] + 3, number) for number in range(DELTA_FILES)],
        "channels": [_channel(first_id, app_id, first_id + 3) for app_id, first_id in apps.items()],
        "channel_devices": [],
    }


def _version(version_id: int, app_id: str, name: str) -> dict[str, Any]:
    is_real = name[0].isdigit()
    return {
        "id": version_id,
        "app_id": app_id,
        "name": name,
        "deleted": not is_real,
        "checksum": _digest(f"{app_id} {name}") if is_real else None,
        "storage_provider": "r2",
        "r2_path": f"orgs/{_ORG}/apps/{app_id}/{name}.zip" if is_real else None,
    }


def _file(version_id: int, number: int) -> dict[str, Any]:
    digest = _digest(f"file {number}")
    return {
        "version_id": version_id,
        "file_name": f"assets/chunk-{digest[:8]}.js",
        "s3_path": f"orgs/{_ORG}/apps/{DELTA_APP}/delta/{digest}.br",
        "file_hash": digest,
        "file_size": 20_000,
    }


def _channel(channel_id: int, app_id: str, version_id: int) -> dict[str, Any]:
    return {
        "id": channel_id,
        "app_id": app_id,
        "name": "production",
        "version": version_id,
        "public": True,
        "rollout_id": f"{channel_id:08x}-0000-4000-8000-00000000be2c",
        "rollout_paused": False,
    }


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
