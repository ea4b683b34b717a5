"""The contract's update vectors (device 8.2 to 8.5), asked of parser, decision and reply together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from capstan.updates.body import Refusal, too_many_requests
from capstan.updates.check import UpdateCheck, parse_check
from capstan.updates.decision import Decision, decide
from capstan.updates.manifest_body import manifest_body
from capstan.updates.reply import reply_body, wants_manifest
from capstan.updates.snapshot import NO_STATE
from tests.updates.world import APPS, BASE, DELTA_ROWS, DEV, GIVEN, ORIGIN, fill_in

SECTION_8 = json.loads((Path(__file__).parents[1] / "vectors" / "section8.json").read_text("utf-8"))
# V11 to V14 need the server around the decision.
NUMBERS = {*range(1, 11), *range(15, 53), *range(54, 60), 96}
VECTORS = {vector["id"]: vector for vector in SECTION_8 if int(vector["id"][1:]) in NUMBERS}

MENDED: dict[str, tuple[int, Any, list[str]]] = {
    # 7.9: wrong JSON types are a client's error, not a crash.
    "V10": (
        400,
        {
            "error": "invalid_json_body",
            "message": "Cannot parse body",
            "moreInfo": {
                "parseResult": {
                    "success": False,
                    "error": {
                        "name": "SchemaError",
                        "issues": [{"message": "Device ID must be a string", "path": ["device_id"], "code": "custom"}],
                    },
                }
            },
        },
        [],
    ),
    # 7.9: a bundle name that a policy cannot compare is said so.
    "V48": (
        200,
        {
            "error": "semver_error",
            "message": "Bundle name: nightly-7 doesn't follow semver convention, so the policy of channel production "
            "cannot compare it",
            "kind": "failed",
        },
        ["mau"],
    ),
}
LIMITED = {"V15"}


def request_bytes(request: dict[str, Any]) -> bytes:
    if "raw" in request:
        return str(request["raw"]).encode()
    if request.get("base") != "B":
        return json.dumps(request).encode()
    return msgspec.json.encode({**BASE, **request.get("set", {})})


def answer(vector: dict[str, Any]) -> tuple[int, Any, list[str]]:
    def limit(app_id: str, _device_id: str) -> Refusal | None:
        return too_many_requests({"app_id": app_id}) if vector["id"] in LIMITED else None

    asked = parse_check(request_bytes(vector["request"]), limit)
    if isinstance(asked, Refusal):
        return asked.status, json.loads(asked.body()), []
    world, state = GIVEN.get(vector["id"], (APPS[asked.app_id], NO_STATE))
    decision = decide(world(), state, asked)
    if wants_manifest(decision):
        reply = manifest_body(decision, ORIGIN, DELTA_ROWS).plain(asked.device_id)
    else:
        reply = reply_body(decision, ORIGIN)
    return 200, json.loads(reply), effects(decision, asked)


def effects(decision: Decision, asked: UpdateCheck) -> list[str]:
    """What the decision says to record, in the notation of the vectors."""
    found = ["mau"] if decision.counts_mau else []
    if decision.counts_get:
        found.append(f"usage get {decision.target_name}")
    if decision.log is not None:
        found.append("log " + " ".join(decision.log))
    if decision.device_version is not None:
        custom_id = asked.custom_id if decision.snapshot.allow_device_custom_id else ""
        shown = {"custom_id": custom_id, "default_channel": asked.default_channel, "key_id": asked.key_id}
        columns = " ".join(f"{name}={value or '-'}" for name, value in shown.items())
        found.append(f"device version_name={decision.device_version} {columns}")
    return found + [f"notify {notice}" for notice in decision.notices]


@pytest.mark.parametrize("name", VECTORS)
def test_the_vector_is_answered_and_recorded_as_the_contract_says(name: str) -> None:
    vector = json.loads(fill_in(json.dumps(VECTORS[name])))
    # 1.9 allows to leave the device id out of manifest URLs.
    for entry in vector["expect"].get("manifest", []):
        entry["download_url"] = entry["download_url"].removesuffix(f"&device_id={DEV}")
    expected = MENDED.get(name, (vector["status"], vector["expect"], vector["effects"]))

    status, reply, recorded = answer(vector)

    assert (status, reply, sorted(recorded)) == (*expected[:2], sorted(expected[2]))


def test_the_keys_of_answers_stand_in_the_order_of_the_contract() -> None:
    orders = {
        "V18": ["version", "url", "session_key", "checksum"],
        "V50": ["version", "url", "session_key", "checksum", "manifest", "link", "comment"],
        "V26": ["error", "message", "major", "version", "old", "kind"],
        "V25": ["error", "message", "version", "old", "kind"],
        "V30": ["error", "message", "deviceKeyId", "bundleKeyId", "kind"],
        "V46": ["error", "message", "version", "kind"],
    }
    for name, keys in orders.items():
        assert list(answer(VECTORS[name])[1]) == keys, name
