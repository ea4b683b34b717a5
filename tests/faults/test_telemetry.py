"""Telemetry that cannot be written: checks are answered, events refused whole, and told again they count once."""

from __future__ import annotations

from tests.faults.breaking import Breaking
from tests.faults.devices import Devices
from tests.faults.endurance import endure_unwritable_telemetry


def test_a_missing_table(devices: Devices, breaking: Breaking) -> None:
    endure_unwritable_telemetry(devices, breaking.hidden("telemetry", "device_days"))


def test_a_lock(devices: Devices, breaking: Breaking) -> None:
    endure_unwritable_telemetry(devices, breaking.locked("telemetry", "device_days"))
