"""How far a long task is, in a form that any task can report and any face can show."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Progress(msgspec.Struct, frozen=True):
    """`done` of `total` units in one stage of a task, bytes or rows as the task has it. Each stage begins at 0."""

    stage: str
    done: int
    total: int


Report = Callable[[Progress], None]
