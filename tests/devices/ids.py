"""Ids of devices, in the order in which they sort."""

from __future__ import annotations

DEVICE = "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10"


def numbered(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"
