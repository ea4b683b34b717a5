"""Who is calling, as far as the network tells: address, origin, request id (contract: public 5, 6; device 0.3)."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Iterable, Mapping

_REQUEST_ID = re.compile(r"[\w\-=]{1,255}", re.ASCII)
_FIXED_ORIGINS = frozenset({"capacitor://localhost", "ionic://localhost"})
_LOCAL_ORIGIN = re.compile(r"(https?://(localhost|127\.0\.0\.1|\[::1\])|localhost://localhost)(:\d+)?", re.ASCII)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ClientAddresses:
    """Finds the client's address; forwarded headers count only from trusted proxies.

    An untrusted private or loopback peer is nobody in particular: rules for addresses are then skipped, or one noisy
    client behind a proxy would lock out all others (contract: device 0.3, public CD-39).
    """

    def __init__(self, trusted_proxies: Iterable[Network], *, loopback_unknown: bool = True) -> None:
        self._trusted = tuple(trusted_proxies)
        self._loopback_unknown = loopback_unknown

    def of(self, peer: str | None, headers: Mapping[str, str]) -> str | None:
        """The address as text, or None when it is unknown."""
        address = _parse(peer)
        if address is None:
            return None
        if self._is_trusted(address):
            forwarded = self._forwarded(headers)
            if forwarded is not None:
                return forwarded
        if self._loopback_unknown and (address.is_private or address.is_loopback):
            return None
        return str(address)

    def is_trusted_peer(self, peer: str | None) -> bool:
        """Whether this peer's `X-Forwarded-…` headers are believed."""
        address = _parse(peer)
        return address is not None and self._is_trusted(address)

    def _is_trusted(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        return any(address.version == network.version and address in network for network in self._trusted)

    @staticmethod
    def _forwarded(headers: Mapping[str, str]) -> str | None:
        for name in ("cf-connecting-ip", "x-forwarded-for", "x-real-ip"):
            address = _parse(headers.get(name, "").split(",")[0].strip())
            if address is not None:
                return str(address)
        return None


def request_id(sent: str | None) -> str:
    """The client's own request id if it is well-formed, else a new one (contract: public 5)."""
    return sent if sent is not None and _REQUEST_ID.fullmatch(sent) else secrets.token_hex(12)


def is_allowed_origin(origin: str, configured: frozenset[str]) -> bool:
    """Whether a browser page of this origin may read answers (contract: public 5)."""
    return origin in _FIXED_ORIGINS or origin in configured or _LOCAL_ORIGIN.fullmatch(origin) is not None


def _parse(text: str | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text) if text else None
    except ValueError:
        return None
