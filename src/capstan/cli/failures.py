"""How a command ends: its exit codes, and the one sentence on standard error that says why.

Nothing that can be expected ends in a traceback: whoever notices that a command cannot go on raises `Failure`.
"""

from __future__ import annotations

import click

REFUSED = 1
"""It was refused, or it failed."""
WRONG_USAGE = 2
"""The command line or a setting is wrong."""
UNREACHABLE = 3
"""The server cannot be reached."""

EXIT_CODES = """\b
Exit codes:
  0  done
  1  refused or failed
  2  wrong usage or settings
  3  cannot reach the server
"""


class Failure(click.ClickException):
    """The command ends here; `sentence` is all that the caller is told."""

    def __init__(self, sentence: str, exit_code: int = REFUSED) -> None:
        super().__init__(sentence)
        self._exit_code = exit_code

    @property
    def exit_code(self) -> int:  # type: ignore[override]  # click has one for each class, here it is each failure's own
        return self._exit_code
