"""One request of a device, with what is worked out from its headers only when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable

from capstan.updates.answers import Scope
from capstan.web.client import ClientAddresses
from capstan.web.origin import Origins


class DeviceRequest:
    """Lives for one request; `origin` and `address` are computed at most as often as they are asked."""

    __slots__ = ("_addresses", "_headers", "_origins", "_scope")

    def __init__(self, scope: Scope, addresses: ClientAddresses, origins: Origins) -> None:
        self._scope = scope
        self._headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
        self._addresses = addresses
        self._origins = origins

    def header(self, name: bytes) -> bytes | None:
        """The first header of this lower-case name."""
        for header, value in self._headers:
            if header == name:
                return value
        return None

    @property
    def query(self) -> bytes:
        """The query string, percent-encoded, without its question mark."""
        query: bytes = self._scope.get("query_string", b"")
        return query

    @property
    def takes_gzip(self) -> bool:
        return b"gzip" in (self.header(b"accept-encoding") or b"")

    @property
    def origin(self) -> str:
        """Scheme and host under which the device reached this server."""
        return self._origins.of(self._scope)

    @property
    def address(self) -> str | None:
        """The client's address, None if it is unknown."""
        client = self._scope.get("client")
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in self._headers}
        return self._addresses.of(client[0] if client else None, headers)
