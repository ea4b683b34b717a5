"""The parts of the documentation that are made from the code: the table of settings and the list of error codes.

`python -m capstan.docs [folder]` renews them between their markers in the pages of `docs/`; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from capstan.errors import ERRORS
from capstan.settings import render_reference

START = "<!-- made by `python -m capstan.docs`; what is written here is lost -->"
END = "<!-- end of what is made -->"

# Codes are grouped by their first word, which tells what to do about them.
_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Something is missing from the request", ("missing", "no")),
    ("Something in the request is not valid", ("invalid",)),
    ("It does not exist, or not for this caller", ("cannot", "not", "unknown")),
    ("The server could not do it", ("failed", "error")),
)
_OTHERS = "Everything else"


def render_errors() -> str:
    """All codes of `ERRORS` as Markdown tables, grouped, in alphabetical order; ends with a newline."""
    groups: dict[str, list[str]] = {title: [] for title in [*(title for title, _ in _GROUPS), _OTHERS]}
    for code in sorted(ERRORS):
        groups[_group(code)].append(f"| `{code}` | {ERRORS[code]} |\n")
    return "\n".join(
        f"### {title}\n\n| Code | Meaning |\n|---|---|\n{''.join(rows)}" for title, rows in groups.items() if rows
    )


def _group(code: str) -> str:
    first = code.partition("_")[0]
    return next((title for title, words in _GROUPS if first in words), _OTHERS)


MADE: dict[str, Callable[[], str]] = {"settings.md": render_reference, "errors.md": render_errors}


def renewed(page: str, made: str) -> str:
    """The page with the part between its markers replaced. Raises ValueError when it does not have both markers."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"the page needs the markers {START} and {END}")
    return f"{before}{START}\n\n{made}\n{END}{after}"


def main(arguments: Sequence[str]) -> None:
    """Renew the pages in the folder given as the only argument (default `docs`)."""
    folder = Path(arguments[0] if arguments else "docs")
    for name, render in MADE.items():
        page = folder / name
        page.write_text(renewed(page.read_text(encoding="utf-8"), render()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
