"""What a reader must know of the machine to judge figures, and nothing that names it."""

from __future__ import annotations

import os
import platform
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from bench.numbers import percentile

FSYNCS = 200


def facts() -> dict[str, Any]:
    """Facts for the result file."""
    return {
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "system": f"{platform.system()} {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load_average": round(os.getloadavg()[0], 2),
    }


def fsync_ms(folder: Path) -> dict[str, float]:
    """Milliseconds of a small write and fsync on the disk of a folder: median and 99th percentile of 200."""
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FSYNCS):
            started = time.perf_counter()
            file.write(b"x" * 512)
            file.flush()
            os.fsync(file.fileno())
            took.append((time.perf_counter() - started) * 1e3)
    return {"median": round(percentile(took, 50), 3), "p99": round(percentile(took, 99), 3)}
