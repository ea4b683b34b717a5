"""Failed assertions of the journeys' own modules say what was compared, as those of tests do."""

from __future__ import annotations

import pytest

for _name in ("inspection", "processes", "telemetry_counts", "traffic"):
    pytest.register_assert_rewrite(f"tests.journeys.{_name}")
