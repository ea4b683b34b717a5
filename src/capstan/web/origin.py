"""The scheme and host under which clients reach this server (contract: device 1.9, URL rules)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from capstan.web.client import ClientAddresses


class Origins:
    """The configured public URL if there is one, else what each request's Host header says.

    `X-Forwarded-Proto` and `X-Forwarded-Host` count only from trusted proxies.
    """

    def __init__(self, public_url: str | None, addresses: ClientAddresses) -> None:
        self.public_url = public_url
        self._addresses = addresses

    def of(self, scope: Mapping[str, Any]) -> str:
        """The origin of an ASGI request, such as `https://updates.example`; never with a trailing slash."""
        if self.public_url is not None:
            return self.public_url
        headers = {name: value for name, value in scope["headers"] if name in _WANTED}
        scheme = scope["scheme"]
        host = headers.get(b"host", b"localhost")
        if b"x-forwarded-proto" in headers or b"x-forwarded-host" in headers:
            client = scope.get("client")
            if self._addresses.is_trusted_peer(client[0] if client else None):
                scheme = headers.get(b"x-forwarded-proto", scheme.encode()).decode("latin-1").split(",")[0].strip()
                host = headers.get(b"x-forwarded-host", host).split(b",")[0].strip()
        name = host.decode("latin-1")
        return f"{scheme}://{name}" if _HOST.fullmatch(name) else f"{scheme}://localhost"


# The host is written into JSON and URLs unescaped, so nothing but a name or address with a port may pass.
_HOST = re.compile(r"[\w.\-]+(:\d{1,5})?|\[[0-9a-fA-F:.]+\](:\d{1,5})?", re.ASCII)
_WANTED = frozenset({b"host", b"x-forwarded-proto", b"x-forwarded-host"})
