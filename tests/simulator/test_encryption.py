"""Bundles encrypted end to end (contract: device 7.7)."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import brotli  # type: ignore[import-untyped]  # ships no types
import pytest
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import NoDigestInfo
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from capstan.simulator import Cycle, PublicKey
from tests.simulator.bundles import update, zipped
from tests.simulator.conftest import World

SECRET, VECTOR = b"0123456789abcdef", b"fedcba9876543210"
NONE = "http://updates.example/none.zip"


@dataclass
class Releaser:
    """Who makes encrypted bundles."""

    private: RSAPrivateKey

    @property
    def public_pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1).decode()

    @property
    def session_key(self) -> str:
        return f"{base64.b64encode(VECTOR).decode()}:{base64.b64encode(self.sealed(SECRET)).decode()}"

    def sealed(self, data: bytes) -> bytes:
        return self.private.sign(data, PKCS1v15(), NoDigestInfo())

    def checksum(self, content: bytes, *, of_text: bool = False) -> str:
        plain = sha256(content).hexdigest().encode() if of_text else sha256(content).digest()
        return self.sealed(plain).hex()

    def content(self, data: bytes) -> bytes:
        padder, encryptor = PKCS7(128).padder(), Cipher(AES(SECRET), CBC(VECTOR)).encryptor()
        return encryptor.update(padder.update(data) + padder.finalize()) + encryptor.finalize()


@pytest.fixture(scope="module")
def releaser() -> Releaser:
    return Releaser(generate_private_key(65537, 2048))


@pytest.fixture(scope="module")
def stranger() -> Releaser:
    return Releaser(generate_private_key(65537, 2048))


def cycle(world: World, public_key: str, body: dict[str, Any]) -> Cycle:
    world.server.plan("/updates", body)
    return asyncio.run(world.device(public_key=public_key).cycle())


def failures(cycle: Cycle) -> tuple[tuple[str, str], ...]:
    assert cycle.download is not None
    return cycle.download.failures


def zip_reply(world: World, releaser: Releaser, **change: Any) -> dict[str, Any]:
    archive = zipped({"index.html": b"secret"})
    url = world.server.put("b.zip", releaser.content(archive))
    return {**update("2.1.0", url, releaser.checksum(archive)), "session_key": releaser.session_key, **change}


def test_an_encrypted_zip_is_decrypted_and_checked(world: World, releaser: Releaser) -> None:
    assert cycle(world, releaser.public_pem, zip_reply(world, releaser)).applied.event == "set"
    assert world.device(public_key=releaser.public_pem).file("index.html") == b"secret"


def test_a_checksum_made_from_the_hash_as_text_is_read_too(world: World, releaser: Releaser) -> None:
    checksum = releaser.checksum(zipped({"index.html": b"secret"}), of_text=True)
    reply = zip_reply(world, releaser, checksum=checksum)
    assert cycle(world, releaser.public_pem, reply).applied.event == "set"


def test_a_bundle_of_another_key_cannot_be_decrypted(world: World, releaser: Releaser, stranger: Releaser) -> None:
    result = cycle(world, stranger.public_pem, zip_reply(world, releaser))
    assert failures(result) == (("decrypt_fail", "2.1.0"),)


@pytest.mark.parametrize("session_key", ["x:y", "noseparator", "e30=:e30="])
def test_a_session_key_of_another_form_fails_to_decrypt(world: World, releaser: Releaser, session_key: str) -> None:
    result = cycle(world, releaser.public_pem, zip_reply(world, releaser, session_key=session_key))
    assert failures(result) == (("decrypt_fail", "2.1.0"),)


@pytest.mark.parametrize("checksum", ["00" * 256, "not hex", sha256(b"plain").hexdigest()])
def test_a_checksum_that_was_not_encrypted_fails_to_decrypt(world: World, releaser: Releaser, checksum: str) -> None:
    result = cycle(world, releaser.public_pem, zip_reply(world, releaser, checksum=checksum))
    assert failures(result) == (("decrypt_fail", "2.1.0"),)


def test_a_device_with_a_key_wants_a_checksum_before_it_downloads(world: World, releaser: Releaser) -> None:
    result = cycle(world, releaser.public_pem, zip_reply(world, releaser, checksum=None))
    assert failures(result) == (("checksum_required", "2.1.0"),)
    assert world.server.fetched() == []


def test_a_device_without_a_key_cannot_use_an_encrypted_zip(world: World, releaser: Releaser) -> None:
    assert failures(cycle(world, "", zip_reply(world, releaser))) == (("checksum_fail", "2.1.0"),)


def delta_entry(world: World, releaser: Releaser, name: str, content: bytes) -> dict[str, str]:
    packed = brotli.compress(content) if name.endswith(".br") else content
    return {
        "file_name": name,
        "file_hash": releaser.checksum(content),
        "download_url": world.server.put(f"delta/{name}", releaser.content(packed)),
    }


def test_delta_files_are_decrypted_and_then_decompressed(world: World, releaser: Releaser) -> None:
    manifest = [delta_entry(world, releaser, name, b"run()" * 99) for name in ("main.js.br", "other.js")]
    reply = update("2.1.0", NONE, None, manifest=manifest) | {"session_key": releaser.session_key}
    assert cycle(world, releaser.public_pem, reply).applied.event == "set"
    assert world.device(public_key=releaser.public_pem).files() == ["main.js", "other.js"]


def test_a_delta_file_that_cannot_be_decrypted_is_named(world: World, releaser: Releaser) -> None:
    right = delta_entry(world, releaser, "main.js", b"run()")
    world.server.put("delta/main.js", b"not a multiple of sixteen")
    reply = update("2.1.0", NONE, None, manifest=[right]) | {"session_key": releaser.session_key}
    assert failures(cycle(world, releaser.public_pem, reply)) == (("decrypt_fail", "2.1.0:main.js"),)


def test_the_key_id_is_the_start_of_the_key(releaser: Releaser) -> None:
    body = "".join(releaser.public_pem.splitlines()[1:-1])
    assert PublicKey(releaser.public_pem).key_id == body[:20]
