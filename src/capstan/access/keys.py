"""Secrets of API keys: how they are made, found, shown, and kept when they must be shown again.

A key is found by its SHA-256 (contract: public 3.4). The secret itself is never stored plain: where an organization
wants to see it again it lies in a `SecretBox`, sealed with the installation's secret key (house rule: secrets).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import uuid
from collections.abc import Callable, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

RandomBytes = Callable[[int], bytes]
"""Gives that many unpredictable bytes."""

HASHED_KEY_MASK = "********"
SECRET_KEY_BYTES = 32
"""The least length of an installation's secret key."""

_FORMAT = b"v1"
_NONCE_BYTES = 12


def mint_key(random_bytes: RandomBytes = secrets.token_bytes) -> str:
    """A new key secret: a version 4 UUID in lower case, 122 random bits (contract: public 3.1)."""
    return str(uuid.UUID(bytes=random_bytes(16), version=4))


def key_hash(secret: str) -> str:
    """SHA-256 of a presented secret, lower-case hex. Any text has one, also what no server ever minted."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def masked_key(secret: str | None) -> str:
    """A secret to recognize but not to use (contract: public 12.2). None stands for a key kept as a hash only."""
    return HASHED_KEY_MASK if secret is None else f"{secret[:8]}…"


def derived_key(secret_key: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose, from the installation's secret key; other purposes learn nothing from them.

    Raises ValueError for a secret key shorter than 32 bytes.
    """
    if len(secret_key) < SECRET_KEY_BYTES:
        raise ValueError(f"the secret key has {len(secret_key)} bytes, at least {SECRET_KEY_BYTES} are needed")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.encode()).derive(secret_key)


class SealBroken(Exception):  # noqa: N818 - says what is wrong with the sealed text, not with the program
    """A sealed text was altered, belongs elsewhere, or was sealed with a secret key that is not known here."""


class SecretBox:
    """Seals short texts so that only holders of the secret key read them, and only where they were put.

    The first of `secret_keys` seals, all of them open: to rotate, put a new key in front. Safe to use from several
    threads. Raises ValueError when there is no key, or one shorter than 32 bytes.
    """

    def __init__(self, secret_keys: Sequence[bytes], random_bytes: RandomBytes = secrets.token_bytes) -> None:
        if not secret_keys:
            raise ValueError("a secret box needs at least one secret key")
        self._ciphers = [AESGCM(derived_key(key, "capstan sealed text")) for key in secret_keys]
        self._random_bytes = random_bytes

    def seal(self, text: str, place: str) -> str:
        """Seal `text` for `place`, a name for where it is kept (`apikey:<rbac_id>`). The result is printable ASCII."""
        nonce = self._random_bytes(_NONCE_BYTES)
        sealed = nonce + self._ciphers[0].encrypt(nonce, text.encode(), _bound_to(place))
        return f"{_FORMAT.decode()}.{base64.urlsafe_b64encode(sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """The text that was sealed for `place`. Raises SealBroken."""
        data = _decoded(sealed)
        nonce, ciphertext = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, ciphertext, _bound_to(place)).decode()
            except InvalidTag:
                continue
        raise SealBroken(f"no known secret key opens the sealed text of {place}")


def _bound_to(place: str) -> bytes:
    return _FORMAT + b":" + place.encode()


def _decoded(sealed: str) -> bytes:
    version, _, body = sealed.partition(".")
    if version != _FORMAT.decode():
        raise SealBroken("this is not a sealed text")
    try:
        data = base64.b64decode(body, altchars=b"-_", validate=True)
    except ValueError:
        raise SealBroken("the sealed text is damaged") from None
    if len(data) <= _NONCE_BYTES:
        raise SealBroken("the sealed text is cut off")
    return data
