"""The table of all settings as Markdown, for `docs/settings.md`."""

from __future__ import annotations

from itertools import groupby

from capstan.settings.table import SETTINGS, Derived, Setting


def render_reference() -> str:
    """One Markdown table for each group of settings, in the order of the declaration; ends with a newline."""
    return "\n".join(_group(group, list(members)) for group, members in groupby(SETTINGS, lambda one: one.group))


def _group(group: str, members: list[Setting]) -> str:
    rows = "".join(_row(setting) for setting in members)
    return f"### {group}\n\n| Setting | Default | Allowed | Meaning |\n|---|---|---|---|\n{rows}"


def _row(setting: Setting) -> str:
    name = f"`{setting.name}`<br>`{setting.variable}`"
    return f"| {name} | {_default(setting)} | {setting.kind.allowed} | {setting.meaning} |\n"


def _default(setting: Setting) -> str:
    if isinstance(setting.default, Derived):
        return setting.default.text
    return f"`{setting.default}`" if setting.default else "none"
