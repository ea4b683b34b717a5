"""One installed app with the updater plugin in it, played over real HTTP (contract: device 7).

It asks, judges, downloads, applies, rolls back and reports as the plugin release it claims to be. Time, the HTTP client
and the folder come from outside; nothing here waits except on the given clock.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from capstan.simulator import channels
from capstan.simulator.answers import Answer, Offer, OnDevice, Outcome, Reply, event_after, judge
from capstan.simulator.channels import ChannelAnswer, ListedChannel
from capstan.simulator.clock import Clock, SystemClock
from capstan.simulator.decryption import PublicKey
from capstan.simulator.download import Download, Downloader
from capstan.simulator.faults import Fault, Temper, healthy
from capstan.simulator.identity import BUILTIN, Identity, Platform
from capstan.simulator.outbox import Event, Flushed, Outbox
from capstan.simulator.pauses import Pause
from capstan.simulator.storage import BundleState, Storage
from capstan.simulator.wire import Endpoints, Traffic, Wire

RESEND_SECONDS = 1.0
"""How soon a batch that was put back goes again."""


@dataclass(frozen=True, slots=True)
class Setup:
    """How the app is configured: where its server is, its native files, its bundle key, its manners."""

    endpoints: Endpoints
    builtin: Mapping[str, bytes] = field(default_factory=dict)
    public_key: str = ""
    """PEM; "" when bundles are not encrypted."""
    parallel: int = 8
    temper: Temper = healthy


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of the scheduled bundle: `event` is set, set_fail, update_fail, or "" when there was none."""

    version: str = ""
    event: str = ""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One check and all that followed from it."""

    answer: Answer
    download: Download | None = None
    applied: Applied = field(default_factory=Applied)


class SimulatedDevice:
    """A device; open it again on the same folder and it is where it was. `temper` may be changed at any time."""

    def __init__(
        self,
        identity: Identity,
        setup: Setup,
        client: httpx.AsyncClient,
        folder: Path,
        clock: Clock | None = None,
    ) -> None:
        self.identity = identity
        self.temper = setup.temper
        self.clock = clock or SystemClock()
        self._endpoints = setup.endpoints
        self._wire = Wire(client, identity)
        self._storage = Storage(folder, setup.builtin)
        self._state = self._storage.state
        self._pause = Pause(identity.release)
        self._outbox = Outbox(identity)
        self._outbox.restore(self._state.events)
        self._downloader = Downloader(
            identity,
            self._wire,
            self._storage,
            self._report_download,
            PublicKey(setup.public_key) if setup.public_key else None,
            setup.parallel,
        )

    @property
    def running(self) -> str:
        """The version that runs, `builtin` for the native bundle."""
        return self._state.running

    @property
    def version_name(self) -> str:
        """What the device says it runs."""
        return self.identity.native_name if self.running == BUILTIN else self.running

    @property
    def bundles(self) -> Mapping[str, BundleState]:
        """Installed bundles, by version."""
        return dict(self._state.bundles)

    @property
    def channel(self) -> str:
        """The default channel in force: the one chosen on the device, else the configured one; "" for none."""
        return self._state.channel if self._state.channel is not None else self.identity.default_channel

    @property
    def pending_events(self) -> tuple[Event, ...]:
        return self._outbox.pending

    @property
    def traffic(self) -> Traffic:
        return self._wire.traffic

    def file(self, path: str) -> bytes:
        """A file of the bundle that runs. Raises OSError when it is not there."""
        return (self._storage.bundle_folder(self.running) / path).read_bytes()

    def files(self) -> list[str]:
        """The paths of the files of the bundle that runs, sorted."""
        folder = self._storage.bundle_folder(self.running)
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())

    async def cycle(self) -> Cycle:
        """Check, download what is offered, apply it. Events stay queued: see `deliver`."""
        answer = await self.check()
        download = None
        if answer.offer and answer.outcome is Outcome.UPDATE:
            download = await self.download(answer.offer)
        return Cycle(answer, download, self.apply())

    async def check(self, *, asked_by_app: bool = False) -> Answer:
        """Ask for an update. An update still has to be downloaded; everything else is done when this returns."""
        device = OnDevice(self.identity, self.version_name, self._storage.usable())
        if self._pause.holds_checks(self.clock.now()):
            answer = Answer(Outcome.FAILED, "rate_limited")
        else:
            reply = await self._call("POST", self._endpoints.updates, self._check_body())
            answer = judge(reply, device, asked_by_app=asked_by_app)
        self._follow(answer)
        self._save()
        return answer

    async def download(self, offer: Offer) -> Download:
        """Bring an offered bundle here and schedule it."""
        corrupt = self.temper(offer.version) is Fault.CORRUPT
        download = await self._downloader.download(offer, corrupt=corrupt)
        if download.ok:
            self._state.scheduled = offer.version
        self._save()
        return download

    def apply(self) -> Applied:
        """Apply what is scheduled, as an app does that goes to the background: confirmed, or rolled back."""
        version, self._state.scheduled = self._state.scheduled, ""
        applied = Applied(version, self._apply(version)) if version else Applied()
        self._save()
        return applied

    def restart(self) -> Applied:
        """Start the app anew: ends the silence that a 429 began on some releases, and applies what is scheduled."""
        self._pause.restart()
        return self.apply()

    def reset(self) -> None:
        """Back to the native bundle; installed ones stay."""
        before = self._old_version()
        self._state.running, self._state.scheduled = BUILTIN, ""
        self.report("reset", old_version_name=before)

    def delete(self, version: str) -> None:
        """Remove an installed bundle that does not run. Raises ValueError for one that does or is not installed."""
        if version == self.running or version not in self._state.bundles:
            raise ValueError(f"{version} runs or is not installed")
        self._storage.discard(version)
        if self._state.scheduled == version:
            self._state.scheduled = ""
        self.report("delete", version)

    def report(
        self,
        action: str,
        version_name: str | None = None,
        *,
        old_version_name: str = "",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Queue an event, about what runs unless a version is named. Fields the release does not know are left out."""
        self._put(action, version_name, old_version_name, metadata)
        self._save()

    async def deliver(self, attempts: int = 1) -> Flushed:
        """Send queued events, again while some are put back, waiting as the release waits; until none is left, the
        attempts are used up, or a silence has begun. A block is waited for before the attempt that follows it."""
        total = Flushed(kept=len(self.pending_events))
        for attempt in range(attempts):
            if attempt:
                await self.clock.sleep(RESEND_SECONDS)
            wait = self._pause.wait(self.clock.now())
            if wait == math.inf:
                break
            if wait and attempt:
                await self.clock.sleep(wait)
            total += await self._outbox.flush(self._post_events, lambda: self._pause.holds_calls(self.clock.now()))
            if not total.kept:
                break
        self._save()
        return total

    async def set_channel(self, channel: str) -> ChannelAnswer:
        """Choose a channel."""
        body = channels.set_body(self._about(), channel, self.identity.platform)
        answer = (
            channels.HELD_BACK
            if self._held()
            else channels.judge_set(await self._channel_call("POST", body), channel, self.identity.platform)
        )
        if answer.accepted and self.identity.release.keeps_channel:
            self._state.channel = None if answer.unset else channel
            self._save()
        return answer

    async def get_channel(self) -> ChannelAnswer:
        """Ask which channel is in force."""
        if self._held():
            return channels.HELD_BACK
        if self.identity.platform is Platform.ELECTRON:
            reply = await self._channel_query()
        else:
            chosen = {"channel": self._state.channel} if self._state.channel else {}
            reply = await self._channel_call("PUT", {**self._about(), **chosen})
        return channels.judge_get(reply, self.channel)

    async def list_channels(self) -> list[ListedChannel]:
        """The channels the device may choose; empty on every failure."""
        return [] if self._held() else channels.judge_list(await self._channel_query(), self.identity.platform)

    async def unset_channel(self) -> ChannelAnswer:
        """Forget the chosen channel, with a call on releases that leave it to the server."""
        self._state.channel = None
        self._save()
        method = channels.unset_method(self.identity.platform, self.identity.release)
        if method is None:
            return ChannelAnswer(True)
        if self._held():
            return channels.HELD_BACK
        body = channels.unset_body(self._about(), self.identity.platform)
        return channels.judge_set(await self._channel_call(method, body), "", self.identity.platform)

    def _check_body(self) -> dict[str, Any]:
        # Electron says that it has no custom id; in events, where null is an error, it says nothing.
        unset = {"custom_id": None} if self.identity.platform is Platform.ELECTRON else {}
        return {**unset, **self._about()}

    def _follow(self, answer: Answer) -> None:
        if answer.outcome is Outcome.REVERT:
            self.reset()
        elif answer.outcome is Outcome.ON_DEVICE and answer.offer:
            self._state.scheduled = answer.offer.version
        action = event_after(answer, self.identity.release)
        if action:
            self._put(action)

    def _apply(self, version: str) -> str:
        fault = self.temper(version)
        before = self._old_version()
        if fault is Fault.FAILS_TO_SET or not self._storage.usable().get(version):
            return self._failed("set_fail", version, before)
        if fault is Fault.FAILS_TO_BOOT:
            return self._failed("update_fail", version, before)
        self._state.running = version
        self._state.bundles[version] = BundleState.OK
        self._put("set", version, before)
        if fault is Fault.CRASHES:
            self._put("app_crash", version)
        return "set"

    def _failed(self, action: str, version: str, before: str) -> str:
        self._state.bundles[version] = BundleState.ERROR
        self._put(action, version, before)
        return action

    def _old_version(self) -> str:
        return "" if self.running == BUILTIN else self.running

    def _report_download(self, action: str, version_name: str) -> None:
        # On Android a download runs in a worker of its own, which posts each event alone and knows no key id.
        self._put(action, version_name, alone=self.identity.platform is Platform.ANDROID)

    def _put(
        self,
        action: str,
        version_name: str | None = None,
        old_version_name: str = "",
        metadata: Mapping[str, str] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        if not self._endpoints.stats:
            return
        release = self.identity.release
        body = {
            **self.identity.about(self.version_name if version_name is None else version_name, self.channel),
            "action": action,
            "timestamp": int(self.clock.now() * 1000),
            **({"old_version_name": old_version_name} if release.sends_old_version else {}),
            **({"metadata": dict(metadata)} if metadata and release.sends_metadata else {}),
        }
        if self.identity.platform is Platform.ELECTRON:
            body |= {"bundle_id": body["version_name"], "message": action}
        if alone:
            body.pop("key_id", None)
        self._outbox.put(Event(body, alone or not release.batches))

    async def _post_events(self, body: object) -> Reply | None:
        return await self._call("POST", self._endpoints.stats, body)

    async def _channel_call(self, method: str, body: Mapping[str, Any]) -> Reply | None:
        return await self._call(method, self._endpoints.channel_self, body)

    async def _channel_query(self) -> Reply | None:
        return await self._call("GET", self._endpoints.channel_self, query=channels.query_of(self._about()))

    async def _call(
        self, method: str, url: str, body: object = None, *, query: Mapping[str, str] | None = None
    ) -> Reply | None:
        reply = await self._wire.call(method, url, body=body, query=query)
        if self._pause.heard(reply, self.clock.now()):
            self._put("rate_limit_reached")
        return reply

    def _about(self) -> dict[str, Any]:
        return self.identity.about(self.version_name, self.channel)

    def _held(self) -> bool:
        return self._pause.holds_calls(self.clock.now())

    def _save(self) -> None:
        self._state.events = list(self._outbox.pending)
        self._storage.save()
