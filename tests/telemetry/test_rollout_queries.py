"""What is asked every few seconds is answered from indexes, however long the log is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import event

from capstan.telemetry.rollout_queries import RolloutQuestion, reported
from tests.databases import migrated_databases, sqlite_databases


def test_a_rollout_is_watched_without_reading_the_whole_log(tmp_path: Path) -> None:
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, _context: Any, _many: Any) -> None:
        if statement.upper().startswith("SELECT"):
            steps = cursor.connection.execute(f"explain query plan {statement}", parameters)
            plans.extend(step[3] for step in steps)

    with migrated_databases(sqlite_databases(tmp_path)) as databases:
        event.listen(databases.telemetry, "before_cursor_execute", explain)
        reported(databases.telemetry, RolloutQuestion("com.demo.app", "1.1.0", 7, 1_790_000_000_000))
    plan = "\n".join(plans)
    assert "ix_events_outcomes" in plan
    assert "ix_events_trouble" in plan
    assert "SCAN events" not in plan
