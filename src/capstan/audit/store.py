"""SQL of the audit log."""

from __future__ import annotations

from typing import Any

from sqlalchemy import insert

from capstan.db.session import WriteSession
from capstan.db.tables import audit_logs


def insert_entry(session: WriteSession, entry: dict[str, Any]) -> None:
    session.run(insert(audit_logs).values(entry))
