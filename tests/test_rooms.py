"""House rules about the rooms that an import linter cannot see."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "capstan"
SQL = {"select", "insert", "update", "delete", "text", "func", "exists", "union"}


def _may_hold_sql(path: Path) -> bool:
    room = path.relative_to(SOURCE).parts[0]
    return path.name == "store.py" or room in ("db", "telemetry")


def _sql_imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "sqlalchemy":
            yield from (alias.name for alias in node.names if alias.name in SQL)


def test_only_stores_telemetry_and_db_hold_sql() -> None:
    offenders = {
        str(path.relative_to(SOURCE)): sorted(found)
        for path in SOURCE.rglob("*.py")
        if not _may_hold_sql(path) and (found := set(_sql_imports(path)))
    }
    assert not offenders, f"move this SQL into the room's store.py: {offenders}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(SOURCE))
        for path in SOURCE.rglob("*.py")
        if path.name != "env.py" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert not silent
