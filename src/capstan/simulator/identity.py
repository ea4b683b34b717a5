"""Who a simulated device is, and the fields it says about itself in every call (contract: device 1.1, 2.1, 7.1)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from capstan.simulator.releases import Release

BUILTIN = "builtin"


class Platform(StrEnum):
    ANDROID = "android"
    IOS = "ios"
    ELECTRON = "electron"


ELECTRON_PLUGIN_VERSION = "0.0.1"
"""What every release of the electron client says (contract: device 7.1)."""


@dataclass(frozen=True, slots=True)
class Identity:
    """One installation of an app. `key_id` is the full id of the configured public key, "" without one."""

    app_id: str
    device_id: str
    platform: Platform
    version_build: str
    plugin_version: str
    version_os: str = "14"
    version_code: str = "1"
    is_prod: bool = True
    is_emulator: bool = False
    default_channel: str = ""
    custom_id: str = ""
    key_id: str = ""
    install_source: str = ""

    @property
    def release(self) -> Release:
        return Release.parse(self.plugin_version)

    @property
    def native_name(self) -> str:
        """The `version_name` sent while the native bundle runs."""
        says_version = self.platform is Platform.ELECTRON or (
            self.platform is Platform.ANDROID and self.release.names_native_version
        )
        return self.version_build if says_version else BUILTIN

    @property
    def user_agent(self) -> str:
        return f"CapacitorUpdater/{self.plugin_version} ({self.app_id}) {self.platform}/{self.version_os}"

    @property
    def timeout(self) -> float:
        """Seconds the client of this platform waits."""
        return 10.0 if self.platform is Platform.ANDROID else 20.0

    def about(self, version_name: str, channel: str) -> dict[str, Any]:
        """The fields common to checks, events and channel calls; `channel` is the default channel in force, or ""."""
        return {
            "platform": str(self.platform),
            "device_id": self.device_id,
            "app_id": self.app_id,
            **self._optional("custom_id", self.custom_id),
            "version_build": self.version_build,
            "version_code": self.version_code,
            "version_os": self.version_os,
            "version_name": version_name,
            "plugin_version": self.plugin_version,
            "is_emulator": self.is_emulator,
            "is_prod": self.is_prod,
            **(self._optional("defaultChannel", channel) if self._sends_default_channel else {}),
            **(self._optional("install_source", self.install_source) if self.release.sends_install_source else {}),
            **self._key(),
        }

    @property
    def _sends_default_channel(self) -> bool:
        return self.platform is Platform.ELECTRON or self.release.sends_default_channel

    def _optional(self, name: str, value: str) -> dict[str, str]:
        # Android writes what is unset as "", the others leave it out.
        return {name: value} if value or self.platform is Platform.ANDROID else {}

    def _key(self) -> dict[str, str]:
        sent = self.key_id[: self.release.key_id_length]
        return {"key_id": sent} if sent else {}
