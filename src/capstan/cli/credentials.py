"""Showing the first owner's credentials, once, with what to type next."""

from __future__ import annotations

from capstan.settings import Settings
from capstan.setup.service import Credentials

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def credentials_text(credentials: Credentials, server: str) -> str:
    """What people read, for a server at the address `server`."""
    password = credentials.password or "as you chose it"
    return f"""\

This is the first owner of this Capstan, shown only now:

  email         {credentials.email}
  password      {password}
  organization  {credentials.organization} ({credentials.organization_id})
  API key       {credentials.api_key}

Next, in another terminal:

  export CAPSTAN_SERVER={server}
  export CAPSTAN_API_KEY={credentials.api_key}
  capstan app add com.example.app
  capstan bundle upload DIR --app com.example.app --channel production

where DIR is the folder that your web build makes, such as dist or www.
"""


def server_url(settings: Settings, port: int | None = None) -> str:
    """Where commands on this machine reach the server; `port` if it was not chosen by the settings."""
    host = _EVERYWHERE.get(settings.host, settings.host)
    return settings.public_url or origin(settings, host, settings.port if port is None else port)


def origin(settings: Settings, host: str, port: int) -> str:
    scheme = "https" if settings.tls_cert else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
