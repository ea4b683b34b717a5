"""Many small changes of the registry in few transactions.

A command line sends hundreds of files at once, and each takes three changes. One commit each would make all of them
wait for the disk, one after another; so whatever is waiting when a commit ends goes into the next one together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.concurrency import run_in_threadpool

from capstan.access.principal import Principal
from capstan.db.session import Registry, WriteSession
from capstan.errors import Problem
from capstan.uploads.service import UploadRefused

_TOGETHER = 32

T = TypeVar("T")
Rule = Callable[[WriteSession], T]
"""A change. If it refuses, it does so before it writes anything, for what others changed is committed all the same."""


class GroupedWrites:
    """Applies rules on behalf of `actor`. Used on one event loop."""

    def __init__(self, registry: Registry, actor: Principal) -> None:
        self._registry = registry
        self._actor = actor
        self._waiting: list[tuple[Rule[Any], asyncio.Future[Any]]] = []
        self._working: asyncio.Task[None] | None = None

    async def apply(self, rule: Rule[T]) -> T:
        """What the rule gives or raises, once it is committed."""
        outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((rule, outcome))
        if self._working is None:
            self._working = asyncio.create_task(self._work())
        return await outcome

    async def _work(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:_TOGETHER], self._waiting[_TOGETHER:]
                results = await run_in_threadpool(self._apply_all, [rule for rule, _ in group])
                for (_, outcome), result in zip(group, results, strict=True):
                    _tell(outcome, result)
        finally:
            self._working = None

    def _apply_all(self, rules: Sequence[Rule[Any]]) -> list[Any]:
        try:
            return self._apply_together(rules)
        except Exception as error:
            if len(rules) == 1:
                return [error]
        # One of them failed, and nothing was committed. Alone, only that one fails.
        return [result for rule in rules for result in self._apply_all([rule])]

    def _apply_together(self, rules: Sequence[Rule[Any]]) -> list[Any]:
        with self._registry.write(self._actor) as session:
            return [_outcome(rule, session) for rule in rules]


def _tell(outcome: asyncio.Future[Any], result: Any) -> None:
    if outcome.done():
        # Its request was cancelled meanwhile.
        return
    if isinstance(result, Exception):
        outcome.set_exception(result)
    else:
        outcome.set_result(result)


def _outcome(rule: Rule[Any], session: WriteSession) -> Any:
    try:
        return rule(session)
    except (Problem, UploadRefused) as refusal:
        return refusal
