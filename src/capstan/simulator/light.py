"""Bodies of very many devices without the devices, for load: no disk, no state, a microsecond or two for each.

Device `i` of a seed is always the same one. Its body is a prepared text with the device id put in, so that making load
costs far less than answering it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from itertools import count

import msgspec

from capstan.simulator.fleet import make_identities
from capstan.simulator.identity import Identity, Platform

VARIANTS = 64
"""How many different devices the bodies are modelled on."""
MARK = "00000000-0000-4000-8000-000000000000"
"""Stands for the device id in the prepared texts."""
TIME_MARK = 1_111_111_111_111


class LightFleet:
    """Bodies for devices 0, 1, 2, … of one app. `running` are the bundles that devices run, by turns.

    `start_ms` is the epoch millisecond of the first event; each event made is one later, so no two are the same.
    """

    def __init__(
        self,
        app_id: str,
        seed: int = 1,
        *,
        running: Sequence[str] = ("1.0.0",),
        natives: Sequence[str] = ("1.0.0",),
        plugin_versions: Sequence[str] = ("8.51.14", "8.47.9"),
        start_ms: int = 1_750_000_000_000,
    ) -> None:
        self._key = seed.to_bytes(8, "big", signed=True)
        models = make_identities(
            VARIANTS,
            seed,
            app_id,
            natives=natives,
            plugin_versions=plugin_versions,
            platforms=(Platform.ANDROID, Platform.IOS),
        )
        self._models = [(model, running[number % len(running)]) for number, model in enumerate(models)]
        self._checks = [_around(msgspec.json.encode(_about(*model))) for model in self._models]
        self._events: dict[tuple[str, str | None], list[tuple[bytes, bytes, bytes]]] = {}
        self._moments = count(start_ms)

    def device_id(self, i: int) -> str:
        """A random-looking UUID, lower-case."""
        text = blake2b(i.to_bytes(8, "big"), digest_size=16, key=self._key).hexdigest()
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"

    def check_body(self, i: int) -> bytes:
        """What device `i` posts to /updates."""
        before, after = self._checks[i % VARIANTS]
        return before + self.device_id(i).encode() + after

    def event_body(self, i: int, action: str = "ping", version_name: str | None = None) -> bytes:
        """What device `i` posts to /stats: one event, in an array as newer releases do, about what it runs or about
        the version given."""
        before, middle, after = self._event_parts(action, version_name)[i % VARIANTS]
        return before + self.device_id(i).encode() + middle + str(next(self._moments)).encode() + after

    def _event_parts(self, action: str, version_name: str | None) -> list[tuple[bytes, bytes, bytes]]:
        kind = (action, version_name)
        if kind not in self._events:
            self._events[kind] = [_event_around(model, version_name or runs, action) for model, runs in self._models]
        return self._events[kind]


def _about(identity: Identity, version_name: str) -> dict[str, object]:
    return {**identity.about(version_name, identity.default_channel), "device_id": MARK}


def _around(body: bytes) -> tuple[bytes, bytes]:
    before, _, after = body.partition(MARK.encode())
    return before, after


def _event_around(identity: Identity, version_name: str, action: str) -> tuple[bytes, bytes, bytes]:
    event = {**_about(identity, version_name), "action": action, "old_version_name": "", "timestamp": TIME_MARK}
    batched = identity.release.batches
    before, rest = _around(msgspec.json.encode([event] if batched else event))
    middle, _, after = rest.partition(str(TIME_MARK).encode())
    return before, middle, after
