"""Values and refusals as HTTP answers: the envelope, the headers every answer carries (contract: public 4, 5)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response

from capstan.errors import Problem

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'; "
        "script-src 'none'; style-src 'none'; img-src 'none'; connect-src 'none'"
    ),
    "x-content-type-options": "nosniff",
}

_encode = msgspec.json.Encoder().encode


def json_answer(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer of any value that msgspec can write."""
    return Response(
        _encode(value),
        status_code=status,
        media_type="application/json",
        headers={**SECURITY_HEADERS, **(headers or {})},
    )


def problem_answer(problem: Problem) -> Response:
    """The error envelope, with the retry headers that its facts call for (contract: public 4.1, 6; device 0.2)."""
    if problem.code == "not_found" and not problem.more:
        return json_answer({"error": "not_found", "message": "Not found"}, status=404)
    envelope: dict[str, Any] = {
        "error": problem.code,
        "message": problem.message,
        "moreInfo": problem.more,
        "status": "KO",
    }
    if problem.code in APIKEY_CODES:
        envelope["supabaseError"] = problem.more.get("supabaseError")
    return json_answer(envelope, status=problem.status, headers=retry_headers(problem.more))


def retry_headers(more: Mapping[str, Any]) -> dict[str, str]:
    """`Retry-After` and `X-RateLimit-Reset`, in whole seconds, if the facts name a time."""
    headers = {}
    if "rateLimitResetAt" in more:
        headers["x-ratelimit-reset"] = str(math.ceil(more["rateLimitResetAt"] / 1000))
    if "retryAfterSeconds" in more:
        headers["retry-after"] = str(more["retryAfterSeconds"])
    return headers


def unknown_error() -> Problem:
    """What a client learns of a failure of ours: nothing but that it happened."""
    return Problem("unknown_error", "Unknown error", status=500)


APIKEY_CODES = frozenset(
    {
        "api_key_not_found",
        "cannot_create_apikey",
        "cannot_delete_apikey",
        "cannot_get_apikey",
        "cannot_list_apikeys",
        "failed_to_delete_apikey",
        "failed_to_get_apikey",
        "failed_to_list_apikeys",
    }
)
"""Failures that also carry a top-level `supabaseError` (contract: public CD-6)."""
