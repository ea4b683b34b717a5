"""What a Capacitor project says about itself: its app id, and the version of its next bundle.

Looked for from the web build upwards, so that a command typed anywhere in a project finds it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_CONFIGS = ("capacitor.config.json", "capacitor.config.ts", "capacitor.config.js")
_APP_ID_IN_CODE = re.compile(r"""(?<![\w$])["']?appId["']?\s*:\s*(["'`])(?P<id>[\w.\-]+)\1""", re.ASCII)


@dataclass(frozen=True, slots=True)
class Project:
    """What was found; None where nothing was."""

    app_id: str | None = None
    version: str | None = None


def find_project(build: Path) -> Project:
    """The project that a web build belongs to."""
    folders = [build.absolute(), *build.absolute().parents]
    for folder in folders:
        app_id = _app_id(folder)
        if app_id is not None:
            nearest = folders[folders.index(folder) :]
            return Project(app_id, _first_version(nearest))
    return Project(None, _first_version(folders))


def _app_id(folder: Path) -> str | None:
    """The `appId` of a Capacitor configuration; the updater plugin's own comes before the app's."""
    for name in _CONFIGS:
        text = _text(folder / name)
        if text is None:
            continue
        if name.endswith(".json"):
            found = _app_id_in(_object(text))
        else:
            match = _APP_ID_IN_CODE.search(text)
            found = match["id"] if match else None
        if found is not None:
            return found
    return None


def _app_id_in(config: dict[str, Any]) -> str | None:
    plugins = config.get("plugins")
    plugin = plugins.get("CapacitorUpdater") if isinstance(plugins, dict) else None
    for place in (plugin, config):
        app_id = place.get("appId") if isinstance(place, dict) else None
        if isinstance(app_id, str) and app_id:
            return app_id
    return None


def _first_version(folders: list[Path]) -> str | None:
    for folder in folders:
        version = _object(_text(folder / "package.json") or "{}").get("version")
        if isinstance(version, str) and version:
            return version
    return None


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, ValueError):
        return None
