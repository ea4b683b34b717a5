"""The commands that a document tells its readers to type."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROMPT = "$ "


def commands(document: str, *, after: str = "", before: str = "") -> list[str]:
    """What stands behind the prompts in a document's console blocks, between two of its headings; lines that end with a
    backslash go on."""
    text = (REPOSITORY / document).read_text()
    if after:
        text = text.split(f"\n{after}\n", 1)[1]
    if before:
        text = text.split(f"\n{before}\n", 1)[0]
    typed = "".join(_CONSOLE.findall(text)).replace("\\\n", " ")
    return [line.removeprefix(_PROMPT) for line in typed.splitlines() if line.startswith(_PROMPT)]


def filled(command: str, blanks: Mapping[str, str]) -> str:
    """A command with the reader's own values in place of the document's examples."""
    for example, own in blanks.items():
        command = command.replace(example, own)
    return command
