"""`POST /updates`: from bytes to the answer and what it leaves behind (contract: device 1)."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from msgspec.structs import replace

from capstan.updates.answers import NOT_SERVED, UNAVAILABLE, DeviceAnswer, refused
from capstan.updates.body import Refusal
from capstan.updates.check import UpdateCheck, parse_check
from capstan.updates.decision import Decision, decide
from capstan.updates.directory import Directory, Entry, RegistryUnavailableError
from capstan.updates.enumeration import EnumerationGuard
from capstan.updates.failed import FailedBundles
from capstan.updates.gate import LimitList, is_served
from capstan.updates.manifest_body import BodyKey, ManifestBodies, ManifestBody, body_key, manifest_body
from capstan.updates.recording import Recorder
from capstan.updates.reply import ON_PREMISE_APP_SHORT, reply_body, wants_manifest
from capstan.updates.request import DeviceRequest
from capstan.updates.snapshot import NO_STATE

NOT_SERVED_SHORT = DeviceAnswer(429, ON_PREMISE_APP_SHORT)
MANIFEST_CACHE_BYTES = 32 * 1024 * 1024


class CheckHandler:
    """Answers update checks. `limit` and `guard` are asked in the contract's order."""

    def __init__(
        self,
        directory: Directory,
        recorder: Recorder,
        limit: LimitList,
        guard: EnumerationGuard,
        failures: FailedBundles,
    ) -> None:
        self._directory = directory
        self._recorder = recorder
        self._limit = limit
        self._guard = guard
        self._failures = failures
        self._bodies = ManifestBodies(MANIFEST_CACHE_BYTES)
        self._making: dict[BodyKey, asyncio.Task[ManifestBody]] = {}

    def answer_now(self, raw: bytes, request: DeviceRequest) -> DeviceAnswer | UpdateCheck:
        """Answer a check that needs nothing but memory; any other is handed back, read, for `answer`."""
        check = parse_check(raw, self._limit)
        if isinstance(check, Refusal):
            return refused(check)
        if self._guard.is_active and self._guard.is_limited(request.address):
            return NOT_SERVED_SHORT
        entry = self._directory.peek(check.app_id)
        if entry is None or entry.snapshot.has_device_state or entry.snapshot.plan.customer_id is not None:
            return check
        if self._failures.may_hold(check.app_id, check.device_id):
            return check
        decision = decide(entry.snapshot, NO_STATE, check)
        if wants_manifest(decision):
            body = self._bodies.find(decision, request.origin)
            if body is None:
                return check
            answer = _manifest_answer(body, check, request)
        else:
            answer = DeviceAnswer(200, reply_body(decision, request.origin if decision.is_update else ""))
        self._recorder.check(decision, raw, time.time_ns() // 1_000_000)
        return answer

    async def answer(self, check: UpdateCheck, raw: bytes, request: DeviceRequest) -> DeviceAnswer:
        """Answer a check that may have to wait for the registry."""
        try:
            entry = await self._directory.app(check.app_id)
            if entry is None:
                if self._guard.miss(request.address, check.app_id):
                    return NOT_SERVED_SHORT
                self._recorder.unknown_app(check, time.time_ns() // 1_000_000)
                return NOT_SERVED
            return await self._served(check, entry, raw, request)
        except RegistryUnavailableError:
            return UNAVAILABLE

    async def explain(self, raw: bytes) -> Decision | DeviceAnswer:
        """The decision that `answer` would come to, recording nothing; an answer where there is none to make."""
        check = parse_check(raw)
        if isinstance(check, Refusal):
            return refused(check)
        entry = await self._directory.app(check.app_id)
        return NOT_SERVED if entry is None else await self._decide(check, entry)

    async def _served(self, check: UpdateCheck, entry: Entry, raw: bytes, request: DeviceRequest) -> DeviceAnswer:
        now_ms = time.time_ns() // 1_000_000
        if not is_served(entry.snapshot, datetime.now(UTC).date()):
            self._recorder.refused_by_plan(entry.snapshot, check, now_ms)
            return NOT_SERVED
        decision = await self._decide(check, entry)
        if wants_manifest(decision):
            answer = _manifest_answer(await self._manifest_body(decision, request.origin), check, request)
        else:
            answer = DeviceAnswer(200, reply_body(decision, request.origin))
        self._recorder.check(decision, raw, now_ms)
        return answer

    async def _decide(self, check: UpdateCheck, entry: Entry) -> Decision:
        state = NO_STATE
        if entry.snapshot.has_device_state:
            state = await self._directory.device_state(check.app_id, check.device_id)
        if self._failures.may_hold(check.app_id, check.device_id):
            failed = await self._failures.of_device(check.app_id, check.device_id)
            state = replace(state, failed_bundles=failed)
        return decide(entry.snapshot, state, check)

    async def _manifest_body(self, decision: Decision, origin: str) -> ManifestBody:
        body = self._bodies.find(decision, origin)
        if body is not None:
            return body
        # A release is asked for by many devices at once; one of them has the answer made, the others wait for it.
        key = body_key(decision, origin)
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = asyncio.create_task(self._make_body(decision, origin))
            making.add_done_callback(lambda _: self._making.pop(key, None))
        return await asyncio.shield(making)

    async def _make_body(self, decision: Decision, origin: str) -> ManifestBody:
        assert decision.bundle is not None
        rows = await self._directory.manifest(decision.bundle.id)
        # Compressing a large manifest takes tens of milliseconds, which other devices must not wait for.
        body = await asyncio.to_thread(manifest_body, decision, origin, rows)
        self._bodies.keep(decision, origin, body)
        return body


def _manifest_answer(body: ManifestBody, check: UpdateCheck, request: DeviceRequest) -> DeviceAnswer:
    if request.takes_gzip:
        return DeviceAnswer(200, body.gzipped(check.device_id), True)
    return DeviceAnswer(200, body.plain(check.device_id))
