"""Every setting of the server, once: what it is called, what it may be, and where its value came from.

`load` gives a frozen `Settings` or raises `SettingsError` with one sentence for the operator. `SETTINGS` is the table
that the command line and the documentation are made from.
"""

from capstan.settings.kinds import LimitedApp, Network, Secret
from capstan.settings.reference import render_reference
from capstan.settings.secret_key import ensure_secret_key
from capstan.settings.sources import SettingsError, load
from capstan.settings.table import SETTINGS, Setting, Settings

__all__ = [
    "SETTINGS",
    "LimitedApp",
    "Network",
    "Secret",
    "Setting",
    "Settings",
    "SettingsError",
    "ensure_secret_key",
    "load",
    "render_reference",
]
