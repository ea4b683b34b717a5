"""The device's half of end-to-end encryption (contract: device 7.7).

Whoever made the bundle "encrypted with the private key"; the device undoes that with the public key of its app, which
proves the origin as a signature does. Only the hex form of checksums ("V3") is read.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key


class DecryptionError(Exception):
    """The session key, content or checksum was not made with this key."""


class PublicKey:
    """An app's public key, from PEM (PKCS#1 or SubjectPublicKeyInfo). Raises ValueError when it is not RSA."""

    def __init__(self, pem: str) -> None:
        key = load_pem_public_key(pem.encode())
        if not isinstance(key, RSAPublicKey):
            raise ValueError("a bundle key is an RSA key")
        self._key = key

    @property
    def key_id(self) -> str:
        """The first 20 characters of the key's base64 body."""
        body = self._key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
        return base64.b64encode(body).decode()[:20]

    def content(self, data: bytes, session_key: str) -> bytes:
        """The plain bytes of a zip or delta file. Raises DecryptionError."""
        try:
            vector, _, wrapped = session_key.partition(":")
            secret = self._recover(base64.b64decode(wrapped, validate=True))
            decryptor = Cipher(AES(secret), CBC(base64.b64decode(vector, validate=True))).decryptor()
            unpadder = PKCS7(128).unpadder()
            padded = decryptor.update(data) + decryptor.finalize()
            return unpadder.update(padded) + unpadder.finalize()
        except (ValueError, binascii.Error) as fault:
            raise DecryptionError("the content was not encrypted for this key") from fault

    def checksum(self, text: str) -> str:
        """The SHA-256 hex behind an encrypted checksum. Raises DecryptionError."""
        try:
            plain = self._recover(bytes.fromhex(text))
            # Made from the 32 bytes of the hash, or from its 64 characters.
            return plain.hex() if len(plain) == 32 else plain.decode("ascii")
        except ValueError as fault:
            raise DecryptionError("the checksum was not encrypted for this key") from fault

    def _recover(self, signed: bytes) -> bytes:
        try:
            return self._key.recover_data_from_signature(signed, PKCS1v15(), None)
        except InvalidSignature as fault:
            raise ValueError("made with another key") from fault
