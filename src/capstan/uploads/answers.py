"""Answers of the upload routes: headers for browsers of any origin, errors as devices know them (device 0.2, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any

import msgspec
from starlette.types import Send

from capstan.errors import Problem
from capstan.web.answers import retry_headers

TUS_VERSION = "1.0.0"
EXTENSIONS = "creation,creation-defer-length,creation-with-upload,expiration"
_SHARED = (
    "Authorization, Content-Type, Location, Tus-Extension, Tus-Max-Size, Tus-Resumable, Tus-Version, Upload-Concat, "
    "Upload-Defer-Length, Upload-Length, Upload-Metadata, Upload-Offset, X-HTTP-Method-Override, X-Requested-With, "
    "X-Forwarded-Host, X-Forwarded-Proto, Forwarded"
)
CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, HEAD, PATCH, OPTIONS, DELETE",
    "access-control-allow-headers": _SHARED,
    "access-control-expose-headers": _SHARED,
}
_RETRY_SECONDS = {503: "1", 429: "30"}
"""When to come back if nothing better is known: a 429 without a hint is asked again each second (device 7.4)."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def tus_answer(status: int, headers: Mapping[str, str]) -> Answer:
    """A success in the protocol's own terms."""
    return Answer(status, {"tus-resumable": TUS_VERSION, **headers})


def capabilities(max_length: int) -> Answer:
    """What OPTIONS tells."""
    return tus_answer(204, {"tus-version": TUS_VERSION, "tus-max-size": str(max_length), "tus-extension": EXTENSIONS})


def expires(moment: datetime) -> dict[str, str]:
    """`Upload-Expires` as an HTTP date (contract: device 7.9)."""
    return {"upload-expires": format_datetime(moment.replace(microsecond=0), usegmt=True)}


def text(status: int, words: str) -> Answer:
    """A refusal in plain text."""
    return Answer(status, {"content-type": "text/plain; charset=utf-8", "tus-resumable": TUS_VERSION}, words.encode())


def refusal(problem: Problem) -> Answer:
    """An error as JSON. `not_found` and `on_premise_app` have no `moreInfo`."""
    envelope: dict[str, Any] = {"error": problem.code, "message": problem.message}
    if problem.code not in ("not_found", "on_premise_app"):
        envelope["moreInfo"] = problem.more
    headers = {"content-type": "application/json", "tus-resumable": TUS_VERSION, **retry_headers(problem.more)}
    if problem.status in _RETRY_SECONDS:
        headers.setdefault("retry-after", _RETRY_SECONDS[problem.status])
    return Answer(problem.status, headers, msgspec.json.encode(envelope))


async def send_answer(send: Send, answer: Answer, *, head: bool) -> None:
    headers = {**CORS, **answer.headers}
    if answer.status != 204:
        headers["content-length"] = str(len(answer.body))
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
