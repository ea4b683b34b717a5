"""Opening what the settings name: data directory, secret key, both databases, objects. Used by servers and commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from capstan.access.keys import SecretBox, derived_key
from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.db.session import Registry
from capstan.files.objects import ObjectStore, S3Options, open_objects
from capstan.settings import Settings, ensure_secret_key


@dataclass(frozen=True)
class Stores:
    """The open stores of one process. Both databases are at this version's schema."""

    settings: Settings
    registry: Registry
    telemetry: Engine
    secret_keys: tuple[bytes, ...]

    @property
    def secret_box(self) -> SecretBox:
        return SecretBox(self.secret_keys)

    def derived_key(self, purpose: str) -> bytes:
        """32 bytes of the installation's secret for one purpose."""
        return derived_key(self.secret_keys[0], purpose)


@contextmanager
def open_stores(settings: Settings) -> Iterator[Stores]:
    """Open and migrate everything; safe while other processes do the same. Closes the databases at the end."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    secret_keys = tuple(key.reveal().encode() for key in ensure_secret_key(settings))
    registry_engine = open_engine(settings.database_url)
    telemetry_engine = open_engine(settings.telemetry_database_url)
    try:
        migrate(registry_engine, "registry")
        migrate(telemetry_engine, "telemetry")
        yield Stores(settings, Registry(registry_engine), telemetry_engine, secret_keys)
    finally:
        registry_engine.dispose()
        telemetry_engine.dispose()


def s3_options(settings: Settings) -> S3Options:
    """What an S3 store needs beside `objects_url`."""
    secret = settings.s3_secret_access_key
    return S3Options(
        endpoint=settings.s3_endpoint,
        region=settings.s3_region,
        access_key_id=settings.s3_access_key_id,
        secret_access_key=secret.reveal() if secret is not None else None,
        allow_http=settings.s3_allow_http,
    )


def object_store(settings: Settings) -> ObjectStore:
    """Where bundles are kept. Nothing is asked of a bucket yet."""
    return open_objects(settings.objects_url, s3_options(settings))


def sqlite_file(url: str) -> Path:
    """The file behind a SQLite URL."""
    database = make_url(url).database
    assert database is not None, "a SQLite URL without a file is refused by the settings"
    return Path(database)
