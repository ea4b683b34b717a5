"""`POST /stats`: one event or a batch, each judged by itself, all durable before the answer (contract: device 2)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from capstan.telemetry.writer import Telemetry, TelemetryUnavailableError
from capstan.updates.answers import BUSY, NOT_SERVED, OK, DeviceAnswer, refused
from capstan.updates.body import Refusal, decode_body
from capstan.updates.directory import Directory, Entry, RegistryUnavailableError
from capstan.updates.event import parse_event
from capstan.updates.events import custom_id_rows, take_event
from capstan.updates.failed import FailedBundles
from capstan.updates.fields import app_id_complaint
from capstan.updates.gate import LimitList, is_served
from capstan.updates.recording import Recorder, event_row

_encode = msgspec.json.Encoder().encode

ON_PREMISE = {"error": "on_premise_app", "message": "On-premise app detected"}
NOT_FOUND = {"error": "version_not_found", "message": "Version not found"}
MIXED_APPS = {"error": "mixed_app_ids", "message": "All events in a batch must have the same app_id"}

Told = Mapping[str, Any]


class PlanRefusedError(Exception):
    """The organization's plan does not serve this app; the whole request ends here."""


class StatsHandler:
    """Takes events. When they cannot be stored, or the registry cannot be read, devices are told to come back."""

    def __init__(
        self,
        directory: Directory,
        telemetry: Telemetry,
        recorder: Recorder,
        limit: LimitList,
        failures: FailedBundles,
    ) -> None:
        self._directory = directory
        self._telemetry = telemetry
        self._recorder = recorder
        self._limit = limit
        self._failures = failures

    async def answer(self, raw: bytes) -> DeviceAnswer:
        """Answer one request; the events of a batch are judged in order."""
        body = decode_body(raw)
        if isinstance(body, Refusal):
            return refused(body)
        if body == []:
            return DeviceAnswer(200, _encode({"status": "ok", "results": []}))
        items: list[Any] = body if isinstance(body, list) else [body]
        refusal = self._refuse_whole(items)
        if refusal is not None:
            return refusal
        try:
            return await self._take(items, is_batch=isinstance(body, list))
        except (RegistryUnavailableError, TelemetryUnavailableError):
            return BUSY

    def _refuse_whole(self, items: list[Any]) -> DeviceAnswer | None:
        app_ids: list[Any] = [item.get("app_id") if isinstance(item, dict) else None for item in items]
        complaint = app_id_complaint(app_ids[0])
        if complaint is not None:
            return refused(Refusal(400, "invalid_app_id", complaint, {}))
        for app_id in app_ids[1:]:
            complaint = app_id_complaint(app_id)
            if complaint is not None:
                return DeviceAnswer(200, _encode({"error": "invalid_app_id", "message": complaint}))
            if app_id != app_ids[0]:
                return DeviceAnswer(200, _encode(MIXED_APPS))
        limited = self._limit(app_ids[0], "")
        return refused(limited) if limited is not None else None

    async def _take(self, items: list[dict[str, Any]], *, is_batch: bool) -> DeviceAnswer:
        failures = self._telemetry.failures
        entry = await self._directory.app(items[0]["app_id"])
        now_ms = time.time_ns() // 1_000_000
        results: list[Told | Refusal | None] = []
        try:
            for item in items:
                results.append(await self._judge(item, entry, now_ms))
        except PlanRefusedError:
            await self._telemetry.durable(failures)
            return NOT_SERVED
        await self._telemetry.durable(failures)
        return _batch_answer(results) if is_batch else _single_answer(results[0])

    async def _judge(self, item: dict[str, Any], entry: Entry | None, now_ms: int) -> Told | Refusal | None:
        """None for an event that was taken, else what its sender is told."""
        event = parse_event(item)
        if isinstance(event, Refusal):
            return event
        if entry is None:
            self._recorder.unknown_app(event, now_ms)
            return ON_PREMISE
        if not is_served(entry.snapshot, datetime.now(UTC).date()):
            refused = event_row(event, "needPlanUpgrade", event.version_name, now_ms)
            self._recorder.events(event, [refused, *custom_id_rows(event, entry.snapshot, now_ms)])
            self._recorder.device(event, entry.snapshot, now_ms)
            raise PlanRefusedError
        outcome = await take_event(event, entry, self._directory, self._recorder, self._failures, now_ms)
        if outcome == "accepted":
            return None
        return {**NOT_FOUND, "app_id": event.app_id, "version_name": event.version_name}


def _single_answer(result: Told | Refusal | None) -> DeviceAnswer:
    if result is None:
        return OK
    if isinstance(result, Refusal):
        return refused(result)
    return NOT_SERVED if result is ON_PREMISE else DeviceAnswer(200, _encode(result))


def _batch_answer(results: list[Told | Refusal | None]) -> DeviceAnswer:
    told = [_batch_item(result, index) for index, result in enumerate(results)]
    return DeviceAnswer(200, _encode({"status": "ok", "results": told}))


def _batch_item(result: Told | Refusal | None, index: int) -> dict[str, Any]:
    if result is None:
        return {"status": "ok", "index": index}
    if isinstance(result, Refusal):
        return {"status": "error", "error": result.code, "message": result.message, "index": index}
    item = {"status": "error", "error": result["error"], "message": result["message"], "index": index}
    facts = {name: value for name, value in result.items() if name not in ("error", "message")}
    return {**item, "moreInfo": facts} if facts else item
