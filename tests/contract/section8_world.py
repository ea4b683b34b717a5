"""The fixture of contract device 8.1, once for each vector: every vector asks its own apps, so none disturbs another.

Vector number n asks for `io.acme.notes.vn`; its rows have ids of their own, shifted by `ID_STEP` for each vector.
Vectors that continue others share their apps.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.updates.world import DEV, ORG, ROOT, H, fill_in

UNPAID_ORG = "7a1d3c52-0b6e-4f0a-8c55-2f6e9d1b4a34"
USER = "7a1d3c52-0b6e-4f0a-8c55-2f6e9d1b4a35"
APPS = ("io.acme.notes", "io.acme.delta", "io.acme.noid", "io.acme.roll", "io.acme.unpaid")
ID_STEP = 1000

CONTINUES = {"V14": "V13", "V86": "V81", "V95": "V94", "V96": "V94", "V97": "V94", "V98": "V94", "V99": "V94"}

World = dict[str, list[dict[str, Any]]]
Row = dict[str, Any]
Given = Callable[[Mapping[str, Row], World], None]


def vectors() -> list[dict[str, Any]]:
    """All vectors of section 8, in order, their abbreviations filled in."""
    text = (Path(__file__).parents[1] / "vectors" / "section8.json").read_text("utf-8")
    found: list[dict[str, Any]] = json.loads(fill_in(text))
    return found


def group(vector_id: str) -> str:
    """The vector whose apps this one asks for."""
    return CONTINUES.get(vector_id, vector_id)


def shift(vector_id: str) -> int:
    """How far the row ids of this vector's apps are shifted."""
    return int(group(vector_id)[1:]) * ID_STEP


def own(text: str, vector_id: str) -> str:
    """Text with the contract's app ids, and the bundle id in manifest URLs, replaced by this vector's."""
    for app in APPS:
        text = text.replace(app, f"{app}.{group(vector_id).lower()}")
    return text.replace("key=201", f"key={201 + shift(vector_id)}")


def as_written(text: str, vector_id: str) -> str:
    """The reverse of `own`, ids in manifest URLs included."""
    text = text.replace(f".{group(vector_id).lower()}", "")
    return text.replace(f"key={201 + shift(vector_id)}", "key=201")


def world() -> World:
    """Everything, in the format of `tests.device_world`."""
    whole: World = {"orgs": _orgs(), "apps": [], "versions": [], "channels": [], "manifest": [], "channel_devices": []}
    for vector in vectors():
        if vector["id"] not in CONTINUES:
            one = _one(vector["id"])
            for part, rows in one.items():
                whole[part].extend(rows)
    return whole


def _one(vector_id: str) -> World:
    base = _base(shift(vector_id))
    channels = {row["name"]: row for row in base["channels"] if row["app_id"] in ("io.acme.notes", "io.acme.roll")}
    rolling = next(row for row in base["channels"] if row["app_id"] == "io.acme.roll")
    named = {"production": base["channels"][0], "beta": channels["beta"], "staff": channels["staff"], "roll": rolling}
    given = GIVEN.get(vector_id)
    if given is not None:
        given(named, base)
    return json.loads(own(json.dumps(base), vector_id))  # type: ignore[no-any-return]  # the same shape as it had


def _orgs() -> list[Row]:
    paid = {"id": ORG, "name": "Acme", "created_by": USER, "management_email": "a@acme.example", "customer_id": None}
    unpaid = {**paid, "id": UNPAID_ORG, "name": "Unpaid", "customer_id": "cus_1"}
    ended = {"status": "canceled", "trial_days_from_now": -30}
    return [
        {**paid, "has_usage_credits": False, "plan": None},
        {**unpaid, "has_usage_credits": False, "plan": ended},
    ]


def _app(app_id: str, **said: Any) -> Row:
    return {
        "app_id": app_id,
        "owner_org": ORG,
        "name": app_id,
        "expose_metadata": False,
        "allow_device_custom_id": True,
        "block_provider_infra_requests": False,
        **said,
    }


def _version(row_id: int, app_id: str, name: str, **said: Any) -> Row:
    return {
        "id": row_id,
        "app_id": app_id,
        "name": name,
        "deleted": False,
        "external_url": None,
        "checksum": H,
        "session_key": None,
        "key_id": None,
        "storage_provider": "r2",
        "min_update_version": None,
        "r2_path": f"{ROOT}/{app_id}/{name}.zip",
        "link": None,
        "comment": None,
        **said,
    }


def _channel(row_id: int, app_id: str, name: str, version: int, **said: Any) -> Row:
    flags = ("ios", "android", "electron", "allow_emulator", "allow_device", "allow_dev", "allow_prod")
    return {
        "id": row_id,
        "app_id": app_id,
        "name": name,
        "version": version,
        "public": True,
        **dict.fromkeys(flags, True),
        "allow_device_self_set": False,
        "disable_auto_update": "major",
        "disable_auto_update_under_native": True,
        "rollout_version": None,
        "rollout_percentage_bps": 0,
        "rollout_enabled": False,
        "rollout_paused": False,
        "rollout_id": f"00000000-0000-4000-8000-{row_id:012x}",
        **said,
    }


def _base(by: int) -> World:
    notes, delta, noid, roll, unpaid = APPS
    no_file = {"r2_path": None, "checksum": None}
    external = {"external_url": "https://cdn.acme.example/notes-2.2.0.zip", "r2_path": None}
    encrypted = {"checksum": "ENC_CHECKSUM", "session_key": "SVY=:S0VZ", "key_id": "MIIBCgKCAQEAtestAAAA"}
    told = {"link": "https://acme.example/notes/2.1.0", "comment": "Fixes login"}
    files = {"a1" * 32: "index.html", "b2" * 32: "assets/main.js.br"}
    return {
        "apps": [
            _app(notes),
            _app(delta, expose_metadata=True),
            _app(noid, allow_device_custom_id=False),
            _app(roll),
            _app(unpaid, owner_org=UNPAID_ORG),
        ],
        "versions": [
            _version(101 + by, notes, "2.0.0"),
            _version(102 + by, notes, "2.1.0"),
            _version(103 + by, notes, "2.2.0", **external, storage_provider="external"),
            _version(104 + by, notes, "2.3.0", **no_file),
            _version(105 + by, notes, "2.4.0", **encrypted),
            _version(106 + by, notes, "nightly-7"),
            _version(107 + by, notes, "3.0.0"),
            _version(108 + by, notes, "2.1.0-rc.1"),
            _version(109 + by, notes, "1.9.9", deleted=True),
            _version(201 + by, delta, "2.1.0", **no_file, **told),
            _version(301 + by, noid, "2.0.0"),
            _version(401 + by, roll, "2.0.0"),
            _version(402 + by, roll, "2.1.0"),
        ],
        "channels": [
            _channel(11 + by, notes, "production", 102 + by),
            _channel(12 + by, notes, "beta", 103 + by, public=False, allow_device_self_set=True),
            _channel(13 + by, notes, "staff", 107 + by, public=False),
            _channel(21 + by, delta, "production", 201 + by),
            _channel(31 + by, noid, "production", 301 + by),
            _channel(
                41 + by,
                roll,
                "production",
                401 + by,
                rollout_version=402 + by,
                rollout_enabled=True,
                rollout_percentage_bps=10_000,
            ),
        ],
        "manifest": [
            {
                "version_id": 201 + by,
                "file_name": name,
                "file_hash": file_hash,
                "s3_path": f"{ROOT}/{delta}/delta/{file_hash}_{name}",
                "file_size": 5120,
            }
            for file_hash, name in files.items()
        ],
        "channel_devices": [],
    }


def _channel_says(name: str, **said: Any) -> Given:
    return lambda channels, _world: channels[name].update(said)


def _points_at(name: str, **said: Any) -> Given:
    def given(channels: Mapping[str, Row], world: World) -> None:
        bundle = next(row for row in world["versions"] if row["name"] == name)
        channels["production"].update(version=bundle["id"], **said)

    return given


def _override(name: str, **said: Any) -> Given:
    def given(channels: Mapping[str, Row], world: World) -> None:
        channels[name].update(said)
        world["channel_devices"].append(
            {"app_id": "io.acme.notes", "device_id": DEV, "channel_id": channels[name]["id"]}
        )

    return given


def _min_version(version: str) -> Given:
    def given(channels: Mapping[str, Row], world: World) -> None:
        channels["production"]["disable_auto_update"] = "version_number"
        next(row for row in world["versions"] if row["name"] == "2.1.0")["min_update_version"] = version

    return given


GIVEN: Mapping[str, Given] = {
    "V23": _channel_says("production", electron=False),
    "V24": _override("beta"),
    "V25": _override("beta", android=False),
    "V26": _override("staff"),
    "V27": _points_at("2.3.0"),
    "V28": _points_at("2.2.0"),
    **{f"V{number}": _points_at("2.4.0") for number in (29, 30, 31, 32)},
    "V33": _points_at("3.0.0"),
    "V34": _channel_says("production", disable_auto_update="minor"),
    "V35": _channel_says("production", disable_auto_update="patch"),
    "V36": _channel_says("production", disable_auto_update="version_number"),
    "V37": _min_version("2.0.5"),
    "V38": _min_version("2.0.0"),
    "V40": _points_at("2.1.0-rc.1"),
    "V41": _channel_says("production", disable_auto_update_under_native=False),
    "V42": _channel_says("production", allow_prod=False),
    "V43": _channel_says("production", allow_dev=False),
    "V44": _channel_says("production", allow_device=False),
    "V45": _channel_says("production", allow_emulator=False),
    "V46": _channel_says("production", version=None),
    "V47": _channel_says("production", version=None),
    "V48": _points_at("nightly-7"),
    "V49": _points_at("nightly-7", disable_auto_update="none", disable_auto_update_under_native=False),
    "V55": _channel_says("roll", rollout_percentage_bps=0),
    "V56": _channel_says("roll", rollout_percentage_bps=5000),
    "V57": _channel_says("roll", rollout_paused=True),
    "V58": _channel_says("roll", rollout_paused=True),
    "V59": _channel_says("roll", rollout_enabled=False),
}
