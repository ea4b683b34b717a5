"""The world that the contract's update vectors ask in: its apps, its devices, and what each vector changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from capstan.updates.check import UpdateCheck, parse_check
from capstan.updates.snapshot import NO_STATE, AppSnapshot, Bundle, Channel, DeviceState, ManifestFile, OrgPlan

ORIGIN = "https://updates.example"
ORG = "7a1d3c52-0b6e-4f0a-8c55-2f6e9d1b4a33"
ROOT = f"orgs/{ORG}/apps"
H = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
DEV = "3f2b8c1e-5a7d-4e90-9b1c-6d2f8a4e7c10"
HASHES = {"<A1>": "a1" * 32, "<B2>": "b2" * 32, "<C3>": "c3" * 32}

BASE: dict[str, Any] = {
    "platform": "android",
    "device_id": DEV,
    "app_id": "io.acme.notes",
    "custom_id": "",
    "version_build": "2.0.0",
    "version_code": "200",
    "version_os": "14",
    "version_name": "2.0.0",
    "plugin_version": "8.47.0",
    "is_emulator": False,
    "is_prod": True,
    "defaultChannel": "",
    "install_source": "google_play",
}


def fill_in(text: str) -> str:
    """Replace the abbreviations of the vectors."""
    for token, value in {"<ROOT>": ROOT, "<H>": H, "<DEV>": DEV, **HASHES}.items():
        text = text.replace(token, value)
    return text


def body(**changes: Any) -> bytes:
    """The base request with some members replaced."""
    return msgspec.json.encode({**BASE, **changes})


def check(**changes: Any) -> UpdateCheck:
    """The base request, parsed; it must be valid."""
    parsed = parse_check(body(**changes))
    assert isinstance(parsed, UpdateCheck), parsed
    return parsed


def zip_bundle(row_id: int, name: str, app_id: str = "io.acme.notes", **fields: Any) -> Bundle:
    """A bundle with a zip."""
    return Bundle(**{"id": row_id, "name": name, "checksum": H, "r2_path": f"{ROOT}/{app_id}/{name}.zip", **fields})


def snapshot(app_id: str, *channels: Channel, **fields: Any) -> AppSnapshot:
    """An app of the world's organization, whose plan is valid."""
    return AppSnapshot(
        **{
            "app_id": app_id,
            "row_id": "5b1f2d6e-2f0b-4ad0-9f4a-7f5f8f0f4b11",
            "owner_org": ORG,
            "revision": 1,
            "plan": OrgPlan(),
            "channels": channels,
            **fields,
        }
    )


B_200 = zip_bundle(101, "2.0.0")
B_210 = zip_bundle(102, "2.1.0")
B_220 = Bundle(id=103, name="2.2.0", checksum=H, external_url="https://cdn.acme.example/notes-2.2.0.zip")
B_230 = Bundle(id=104, name="2.3.0", checksum=H)
B_240 = zip_bundle(105, "2.4.0", checksum="ENC_CHECKSUM", session_key="SVY=:S0VZ", key_id="MIIBCgKCAQEAtestAAAA")
B_NIGHTLY = zip_bundle(106, "nightly-7")
B_300 = zip_bundle(107, "3.0.0")
B_RC = zip_bundle(108, "2.1.0-rc.1")

DELTA_ROWS = (
    ManifestFile("index.html", "a1" * 32, f"{ROOT}/io.acme.delta/delta/{'a1' * 32}_index.html", 5120),
    ManifestFile("assets/main.js.br", "b2" * 32, f"{ROOT}/io.acme.delta/delta/{'b2' * 32}_assets/main.js.br", 9000),
)


def production(bundle: Bundle | None = B_210, **fields: Any) -> Channel:
    """The public channel 11; without a bundle it is set to builtin."""
    version_id = bundle.id if bundle is not None else None
    return Channel(
        **{"id": 11, "name": "production", "version_id": version_id, "stable": bundle, "public": True, **fields}
    )


def beta(**fields: Any) -> Channel:
    return Channel(
        **{"id": 12, "name": "beta", "version_id": 103, "stable": B_220, "allow_device_self_set": True, **fields}
    )


STAFF = Channel(id=13, name="staff", version_id=107, stable=B_300)


def notes(main: Channel | None = None, second: Channel | None = None) -> AppSnapshot:
    """io.acme.notes with its channels production, beta and staff."""
    return snapshot("io.acme.notes", main or production(), second or beta(), STAFF)


def roll(**fields: Any) -> AppSnapshot:
    """io.acme.roll: 2.0.0 is stable, 2.1.0 rolls out to everyone."""
    stable, target = zip_bundle(401, "2.0.0", "io.acme.roll"), zip_bundle(402, "2.1.0", "io.acme.roll")
    started = {"rollout": target, "rollout_enabled": True, "rollout_percentage_bps": 10_000, "rollout_id": ORG}
    return snapshot("io.acme.roll", production(stable, **{**started, **fields}))


def delta() -> AppSnapshot:
    """io.acme.delta: a bundle with delta files and no zip, its metadata exposed."""
    bundle = Bundle(
        id=201,
        name="2.1.0",
        link="https://acme.example/notes/2.1.0",
        comment="Fixes login",
        has_manifest=True,
    )
    return snapshot("io.acme.delta", production(bundle), expose_metadata=True)


def noid() -> AppSnapshot:
    """io.acme.noid: custom ids are not kept."""
    main = production(zip_bundle(301, "2.0.0", "io.acme.noid"))
    return snapshot("io.acme.noid", main, allow_device_custom_id=False)


World: TypeAlias = tuple[Callable[[], AppSnapshot], DeviceState]

APPS: dict[str, Callable[[], AppSnapshot]] = {
    "io.acme.notes": notes,
    "io.acme.roll": roll,
    "io.acme.delta": delta,
    "io.acme.noid": noid,
}

ON_BETA = DeviceState(override_channel_id=12)

GIVEN: dict[str, World] = {
    "V23": (lambda: notes(production(electron=False)), NO_STATE),
    "V24": (notes, ON_BETA),
    "V25": (lambda: notes(None, beta(android=False)), ON_BETA),
    "V26": (notes, DeviceState(override_channel_id=13)),
    "V27": (lambda: notes(production(B_230)), NO_STATE),
    "V28": (lambda: notes(production(B_220)), NO_STATE),
    "V29": (lambda: notes(production(B_240)), NO_STATE),
    "V30": (lambda: notes(production(B_240)), NO_STATE),
    "V31": (lambda: notes(production(B_240)), NO_STATE),
    "V32": (lambda: notes(production(B_240)), NO_STATE),
    "V33": (lambda: notes(production(B_300)), NO_STATE),
    "V34": (lambda: notes(production(disable_auto_update="minor")), NO_STATE),
    "V35": (lambda: notes(production(disable_auto_update="patch")), NO_STATE),
    "V36": (lambda: notes(production(disable_auto_update="version_number")), NO_STATE),
    "V37": (lambda: notes(_from("2.0.5")), NO_STATE),
    "V38": (lambda: notes(_from("2.0.0")), NO_STATE),
    "V40": (lambda: notes(production(B_RC)), NO_STATE),
    "V41": (lambda: notes(production(disable_auto_update_under_native=False)), NO_STATE),
    "V42": (lambda: notes(production(allow_prod=False)), NO_STATE),
    "V43": (lambda: notes(production(allow_dev=False)), NO_STATE),
    "V44": (lambda: notes(production(allow_device=False)), NO_STATE),
    "V45": (lambda: notes(production(allow_emulator=False)), NO_STATE),
    "V46": (lambda: notes(production(None)), NO_STATE),
    "V47": (lambda: notes(production(None)), NO_STATE),
    "V48": (lambda: notes(production(B_NIGHTLY)), NO_STATE),
    "V49": (lambda: notes(_ungated(B_NIGHTLY)), NO_STATE),
    "V55": (lambda: roll(rollout_percentage_bps=0), NO_STATE),
    "V56": (lambda: roll(rollout_percentage_bps=5000), NO_STATE),
    "V57": (lambda: roll(rollout_paused=True), NO_STATE),
    "V58": (lambda: roll(rollout_paused=True), NO_STATE),
    "V59": (lambda: roll(rollout_enabled=False), NO_STATE),
    "V96": (notes, DeviceState(self_channel_id=12)),
}
"""What a vector changes in the world, where it changes anything."""


def _from(min_update_version: str) -> Channel:
    bundle = zip_bundle(102, "2.1.0", min_update_version=min_update_version)
    return production(bundle, disable_auto_update="version_number")


def _ungated(bundle: Bundle) -> Channel:
    return production(bundle, disable_auto_update="none", disable_auto_update_under_native=False)
