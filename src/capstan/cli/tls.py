"""Whether a certificate and a key can be served with, told before a server starts."""

from __future__ import annotations

import ssl

from capstan.settings import Settings


def tls_fault(settings: Settings) -> str | None:
    """What is wrong with `tls_cert` and `tls_key`, as a sentence; None if nothing is, or there are none."""
    if settings.tls_cert is None or settings.tls_key is None:
        return None
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.tls_cert, settings.tls_key)
    except ssl.SSLError as wrong:
        why = "the key does not belong to the certificate" if wrong.reason == "KEY_VALUES_MISMATCH" else "not PEM"
        return f"tls_cert {settings.tls_cert} and tls_key {settings.tls_key} cannot be used: {why}."
    except OSError as wrong:
        return f"tls_cert or tls_key cannot be read: {wrong.strerror}."
    return None
