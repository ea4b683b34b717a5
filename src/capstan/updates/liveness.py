"""Liveness answers: `/ok` with its version header, `/latency` with the database, and `/ko`, which always fails.

Contract: device 0.1.
"""

from __future__ import annotations

import asyncio

import msgspec

from capstan.updates import store
from capstan.updates.answers import FAILED, OK, UNAVAILABLE, DeviceAnswer, refused
from capstan.updates.body import Refusal
from capstan.updates.directory import Directory, RegistryUnavailableError

PROBE_SECONDS = 3.0
"""How long the registry may take before `/latency` says that it does not answer."""

KO = FAILED._replace(body=b'{"error":"unknown_error","message":"KO","moreInfo":{}}')
_DATED = (2025, 10, 2)
_DATED_BODY = msgspec.json.encode({"status": "ok", "version": "2025.10.2", "detail": "ok endpoint 2025-10-02 response"})
_SEGMENTS = 3


def ok_answer(api_version: bytes | None) -> DeviceAnswer:
    """Alive; a client that names an API version learns whether it is understood."""
    if api_version is None:
        return OK
    text = api_version.decode("latin-1")
    segments = text.strip().split("-")
    if not text.strip():
        return _misunderstood(text, "empty_version")
    if len(segments) > _SEGMENTS:
        return _misunderstood(text, "too_many_segments")
    for segment in segments:
        if not (segment.isascii() and segment.isdigit()):
            return _misunderstood(text, "non_numeric_segment", segment)
    return DeviceAnswer(200, _DATED_BODY) if tuple(map(int, segments)) == _DATED else OK


def _misunderstood(header: str, reason: str, segment: str | None = None) -> DeviceAnswer:
    facts = {"header": header, "reason": reason} | ({"segment": segment} if segment is not None else {})
    return refused(Refusal(400, "invalid_capgo_api_version", "Invalid capgo_api version header", facts))


class RegistryProbe:
    """Asks whether the registry answers. However many want to know, one question is under way at a time."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._asking: asyncio.Task[bool] | None = None

    async def answer(self) -> DeviceAnswer:
        """Alive if the registry is read within `PROBE_SECONDS`, else 503."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask())
        asking = self._asking
        await asyncio.wait({asking}, timeout=PROBE_SECONDS)
        return OK if asking.done() and asking.result() else UNAVAILABLE

    async def _ask(self) -> bool:
        try:
            await self._directory.read(store.ping)
        except RegistryUnavailableError:
            return False
        return True
