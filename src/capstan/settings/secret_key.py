"""The key file of a server that was given no `secret_key`.

It is made once, readable by the owner only, complete before it has its name: processes that start together agree on
one key, and a crash leaves no half-written one. Whoever loses it loses every session and every key that can be shown.
"""

from __future__ import annotations

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from capstan.settings.kinds import Secret, listed, secret_key
from capstan.settings.sources import SettingsError
from capstan.settings.table import KEY_LENGTH, Settings

KEY_FILE = "secret.key"


def ensure_secret_key(settings: Settings) -> tuple[Secret, ...]:
    """The keys to use: the first signs and encrypts, all of them verify and decrypt. Never empty.

    Comes from the setting, or from `secret.key` in the data directory, which is made (with its folder) when missing.
    Raises `SettingsError` when that file cannot be used.
    """
    if settings.secret_key:
        return settings.secret_key
    file = settings.data_dir / KEY_FILE
    try:
        if not file.exists():
            _make(file)
        content = file.read_bytes()
    except OSError as wrong:
        raise SettingsError(f"secret_key: the file {file} cannot be used: {wrong.strerror}.") from wrong
    return _parse(content, file)


def _make(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(secrets.token_urlsafe(48) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        with suppress(FileExistsError):  # another process was faster, and its key counts
            os.link(draft, file)
    finally:
        os.unlink(draft)
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _parse(content: bytes, file: Path) -> tuple[Secret, ...]:
    kind = listed(secret_key(KEY_LENGTH))
    with suppress(ValueError):
        keys = kind.parse(content.decode().strip())
        if keys:
            return keys
    raise SettingsError(f"secret_key from the file {file} is {kind.show('')}; allowed: {kind.allowed}.")
