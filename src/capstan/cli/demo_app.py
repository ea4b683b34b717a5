"""The demo's app: a small web build in two versions, made by code, each file different enough to be a file of its own.

The second version changes what a real small release changes: the text of a page, one script, one picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

FIRST, SECOND = "1.0.1", "1.1.0"
NATIVE = "1.0.0"
"""The version in the store, which the app's devices start on."""

_ICONS = 24
_LANGUAGES = ("de", "en", "es", "fr", "it", "ja")
_WORDS = ("Harbor", "Anchor", "Capstan", "Rope", "Sail", "Mast", "Keel", "Tide")


def app_files(version: str) -> Mapping[str, bytes]:
    """The files of a version of the app, by path. `NATIVE` is what the store's app brings along."""
    new = version == SECOND
    texts = {
        "index.html": _page("Harbor", f"Version {version}"),
        "about.html": _page("About", "A new page for all." if new else "A small app of no use at all."),
        "assets/app.js": _script(version),
        "assets/boats.js": _boats(40 if new else 32),
        "assets/style.css": _style(),
    }
    texts |= {f"assets/icons/{number:02}.svg": _icon(number, new and number == 0) for number in range(_ICONS)}
    texts |= {f"assets/words/{language}.json": _dictionary(language) for language in _LANGUAGES}
    return {name: text.encode() for name, text in texts.items()}


def write_app(version: str, folder: Path) -> Path:
    """Write a version into a new folder, as a web build leaves it."""
    for name, content in app_files(version).items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return folder


def _page(title: str, text: str) -> str:
    return (
        f'<!doctype html>\n<html lang="en">\n<title>{title}</title>\n<link rel="stylesheet" href="assets/style.css">\n'
        f'<h1>{title}</h1>\n<p>{text}</p>\n<script type="module" src="assets/app.js"></script>\n</html>\n'
    )


def _script(version: str) -> str:
    return (
        "import { boats } from './boats.js';\n"
        f"const version = '{version}';\n"
        "// Says that the app has started; without it the plugin would go back to the version before.\n"
        "window.Capacitor?.Plugins?.CapacitorUpdater?.notifyAppReady();\n"
        "document.title += ` ${version}, ${boats.length} boats`;\n"
    )


def _boats(count: int) -> str:
    boats = [
        {"name": f"{_WORDS[number % len(_WORDS)]} {number}", "length": 300 + 7 * number, "crew": number % 5 + 1}
        for number in range(count)
    ]
    return f"export const boats = {json.dumps(boats, indent=2)};\n"


def _style() -> str:
    shades = "\n".join(f".shade-{number} {{ background: hsl({number * 3} 60% 50%); }}" for number in range(120))
    return f"body {{ font: 1rem/1.5 sans-serif; margin: 2rem; }}\n{shades}\n"


def _icon(number: int, is_new: bool) -> str:
    circles = "".join(
        f'<circle cx="{(number * 13 + step * 29) % 100}" cy="{(number * 31 + step * 17) % 100}" r="{step + 2}"/>'
        for step in range(20)
    )
    colour = "teal" if is_new else "navy"
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100" fill="{colour}">{circles}</svg>\n'


def _dictionary(language: str) -> str:
    return json.dumps({word.lower(): f"{word} ({language})" for word in _WORDS}, indent=2) + "\n"
