"""The one rule by which a request is answered in the older or the newer shape (contract: public 2.5, CD-3)."""

from __future__ import annotations

from collections.abc import Collection

from capstan.web.endpoint import Dialect, Endpoint

FIRST_MODERN_VERSION = (2026, 1, 19)


def dialect(
    *,
    endpoint: Endpoint,
    parameters: Collection[str],
    api_version: str | None,
    supplied_by: str | None,
    default: Dialect,
) -> Dialect:
    """Choose the dialect.

    `supplied_by` names the header that held the accepted key, or "session". `default` is what a key in a plain
    `authorization` header means.
    """
    version = _parse_version(api_version)
    if version is not None:
        return Dialect.MODERN if version >= FIRST_MODERN_VERSION else Dialect.SEED
    if not endpoint.modern_only.isdisjoint(parameters):
        return Dialect.MODERN
    if not endpoint.seed_only.isdisjoint(parameters):
        return Dialect.SEED
    if supplied_by in ("session", "capgkey", "x-api-key"):
        return Dialect.MODERN
    return default


def _parse_version(text: str | None) -> tuple[int, ...] | None:
    parts = (text or "").split("-")
    if not 1 <= len(parts) <= 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return tuple(int(part) for part in parts)
