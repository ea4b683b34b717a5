"""`/channel_self`: from bytes to the answer, and what is durable before it (contract: device 3).

When the registry or telemetry cannot be used, who asks is answered 503 and who changes something 429, both with a
time to come back.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry
from capstan.outages import Outage
from capstan.telemetry.writer import Telemetry, TelemetryUnavailableError
from capstan.updates.answers import BUSY, NOT_SERVED, UNAVAILABLE, DeviceAnswer, refused
from capstan.updates.body import Limit, Refusal
from capstan.updates.channel_self import choices
from capstan.updates.channel_self.call import ChannelCall, Operation, parse_call
from capstan.updates.channel_self.limits import ChannelCallLimits
from capstan.updates.channel_self.verdict import MISSING_CHANNEL, SET_FAILED, Verdict, judge
from capstan.updates.decision import Need, plan_allows
from capstan.updates.directory import Directory, RegistryUnavailableError
from capstan.updates.recording import Recorder
from capstan.updates.request import DeviceRequest
from capstan.updates.snapshot import NO_STATE, AppSnapshot, DeviceState

NEEDS: tuple[Need, ...] = ("mau",)
"""What the plan must allow for channel calls (contract: device 1.5)."""

log = structlog.get_logger(__name__)


class ChannelSelfHandler:
    """Answers channel calls. `limit` is the operator's limit list, `limits` the rate limits."""

    def __init__(
        self,
        directory: Directory,
        registry: Registry,
        telemetry: Telemetry,
        recorder: Recorder,
        limit: Limit,
        limits: ChannelCallLimits,
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._telemetry = telemetry
        self._recorder = recorder
        self._limit = limit
        self._limits = limits
        self._outage = Outage(log, "choices of devices cannot be kept", "choices of devices are kept again")

    async def answer(self, operation: Operation, raw: bytes, request: DeviceRequest) -> DeviceAnswer:
        """Answer one call; the checks stand in the contract's order (3.3)."""
        call = parse_call(operation, raw, request.query, self._limit)
        if isinstance(call, Refusal):
            return refused(call)
        address = request.address
        refusal = self._limits.refuse_address(call, address)
        if refusal is not None:
            return refusal
        if call.operation == "set" and not call.channel:
            return DeviceAnswer(200, MISSING_CHANNEL)
        refusal = self._limits.take(call, address)
        if refusal is not None:
            return refusal
        try:
            return await self._served(call)
        except (RegistryUnavailableError, TelemetryUnavailableError):
            return BUSY if operation in ("set", "unset") else UNAVAILABLE

    async def _served(self, call: ChannelCall) -> DeviceAnswer:
        entry = await self._directory.app(call.app_id)
        if entry is None:
            return NOT_SERVED
        snapshot = entry.snapshot
        if not plan_allows(snapshot.plan, NEEDS, datetime.now(UTC).date()):
            if call.operation != "list":
                await self._record(call, "needPlanUpgrade", snapshot)
            return NOT_SERVED
        verdict = judge(call, snapshot, await self._state(call, snapshot))
        if not await self._keep(call, verdict, snapshot):
            return DeviceAnswer(200, SET_FAILED)
        if verdict.log is not None:
            await self._record(call, verdict.log, snapshot)
        return DeviceAnswer(200, verdict.reply)

    async def _state(self, call: ChannelCall, snapshot: AppSnapshot) -> DeviceState:
        if call.operation == "list" or not call.is_legacy or not snapshot.has_device_state:
            return NO_STATE
        return await self._directory.device_state(call.app_id, call.device_id)

    async def _keep(self, call: ChannelCall, verdict: Verdict, snapshot: AppSnapshot) -> bool:
        """Carry out what the verdict says about the stored choice; False if its channel has gone meanwhile."""
        if verdict.stores is None and not verdict.drops:
            return True
        try:
            await asyncio.to_thread(self._write, call, verdict.stores)
        except IntegrityError:
            return False
        except SQLAlchemyError as error:
            self._outage.met(error, app_id=call.app_id)
            raise RegistryUnavailableError(str(error)) from error
        self._outage.over()
        if verdict.stores is not None and not snapshot.has_device_state:
            # The device's next call may come before the notice that the app has devices with a choice.
            self._directory.expire(call.app_id)
        return True

    def _write(self, call: ChannelCall, channel_id: int | None) -> None:
        with self._registry.write(SystemPrincipal("device's own choice"), for_device=True) as session:
            if channel_id is None:
                choices.drop(session, call.app_id, call.device_id)
            else:
                choices.keep(session, call.app_id, call.device_id, channel_id)

    async def _record(self, call: ChannelCall, action: str, snapshot: AppSnapshot) -> None:
        failures = self._telemetry.failures
        self._recorder.channel_call(call, action, snapshot, time.time_ns() // 1_000_000)
        await self._telemetry.durable(failures)
