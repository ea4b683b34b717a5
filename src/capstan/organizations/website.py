"""The address of an organization's website, as a person types it, in the one form that is stored."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, quote, urlsplit, urlunsplit

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE | re.ASCII)
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_SAFE = "/:@!$&'()*+,;=~-._%?"


def normalized_website(text: str) -> str | None:
    """An http(s) address with scheme and path, `https://` where none was typed; None for a blank text.

    Raises ValueError for anything else, addresses with a user or a password included (contract: public 9.3).
    """
    text = text.strip()
    if not text:
        return None
    parts = urlsplit(text if _SCHEME.match(text) else f"https://{text}")
    if parts.scheme not in _DEFAULT_PORTS or "@" in parts.netloc or "\\" in text:
        raise ValueError("a website has an http or https address without a user")
    return urlunsplit(
        (
            parts.scheme,
            _place(parts),
            quote(parts.path, safe=_SAFE) or "/",
            quote(parts.query, safe=_SAFE),
            quote(parts.fragment, safe=_SAFE),
        )
    )


def _place(parts: SplitResult) -> str:
    host = _host(parts.hostname or "")
    port = parts.port
    return host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"


def _host(host: str) -> str:
    if ":" in host:
        return f"[{ipaddress.IPv6Address(host)}]"
    name = host if host.isascii() else host.encode("idna").decode()
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError("the website has no host")
    return name
