"""What `capstan doctor` looks at: one function for each thing that a server needs, each with a finding in words.

Nothing is changed: no database is made or migrated, and the object that is written is removed again.
"""

from __future__ import annotations

import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

import httpx
from cryptography import x509
from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from capstan.cli.printing import size
from capstan.cli.server_side import reason
from capstan.cli.tls import tls_fault
from capstan.db.engine import is_sqlite, open_engine
from capstan.db.migrate import SchemaState, schema_state
from capstan.errors import Problem
from capstan.settings import Settings, SettingsError, ensure_secret_key
from capstan.stores import object_store, sqlite_file

LEAST_FREE_BYTES = 1_000_000_000
MOST_SKEW = timedelta(seconds=5)
LEAST_CERTIFICATE_LIFE = timedelta(days=14)
PUBLIC_URL_SECONDS = 5

_SCHEMA_WORDS = {
    SchemaState.EMPTY: "has no tables yet, which the next start makes",
    SchemaState.OLDER: "has an older schema, which the next start migrates",
    SchemaState.CURRENT: "is reachable and at this version's schema",
    SchemaState.NEWER: "was written by a newer Capstan; start that one, or restore the backup made before the upgrade",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`ok`, or `words` say what to do."""

    subject: str
    ok: bool
    words: str


def examine(settings: Settings) -> Iterator[Finding]:
    """One finding after another, as each is known."""
    yield _data_dir(settings)
    yield _disk(settings)
    yield _secret_key(settings)
    yield _database("registry", settings.database_url)
    yield _database("telemetry", settings.telemetry_database_url)
    yield from _objects_and_clock(settings)
    yield _tls(settings)
    yield _public_url(settings)


def _data_dir(settings: Settings) -> Finding:
    folder = settings.data_dir
    if not folder.exists():
        return Finding("data directory", True, f"{folder} does not exist yet; the first start makes it")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("data directory", False, f"let this user read and write {folder}")
    return Finding("data directory", True, str(folder))


def _disk(settings: Settings) -> Finding:
    free = shutil.disk_usage(_existing(settings.data_dir)).free
    if free < LEAST_FREE_BYTES:
        return Finding("disk", False, f"only {size(free)} are free for {settings.data_dir}; make room")
    return Finding("disk", True, f"{size(free)} are free")


def _secret_key(settings: Settings) -> Finding:
    if settings.secret_key:
        return Finding("secret key", True, "comes from the settings; keep it with the backups")
    file = settings.data_dir / "secret.key"
    if not file.exists():
        return Finding("secret key", True, "the first start makes it")
    try:
        ensure_secret_key(settings)
    except SettingsError as wrong:
        return Finding("secret key", False, str(wrong).rstrip("."))
    if _others_may_read(file):
        return Finding("secret key", False, f"everybody on this machine can read it; type: chmod 600 {file}")
    return Finding("secret key", True, f"{file}, which belongs into every backup")


def _database(chain: str, url: str) -> Finding:
    if is_sqlite(url) and not sqlite_file(url).exists():
        return Finding(chain, True, f"{sqlite_file(url)} does not exist yet; the first start makes it")
    engine = open_engine(url)
    try:
        state = schema_state(engine, chain)
    except DBAPIError as fault:
        return Finding(chain, False, f"the database cannot be used ({reason(fault)}); check {_setting_of(chain)}")
    finally:
        engine.dispose()
    return Finding(chain, state is not SchemaState.NEWER, f"{_place(engine)} {_SCHEMA_WORDS[state]}")


def _objects_and_clock(settings: Settings) -> Iterator[Finding]:
    before = datetime.now(UTC)
    folder = _objects_folder(settings)
    if folder is not None and not folder.exists():
        yield Finding("objects", True, f"{folder} does not exist yet; the first start makes it")
        yield _clock(before, before)
        return
    key = f"orgs/doctor/apps/doctor/{uuid.uuid4()}"
    content = b"capstan doctor"
    try:
        store = object_store(settings)
        store.put_bytes(key, content)
        same = store.read(key) == content
        info = store.head(key)
        store.delete(key)
    except Problem as fault:
        why = reason(fault.__cause__ or fault)
        yield Finding("objects", False, f"{settings.objects_url} cannot be written and read ({why}); check objects_url")
        return
    if not same or info is None:
        yield Finding(
            "objects", False, f"{settings.objects_url} does not give back what was written; use another store"
        )
        return
    yield Finding("objects", True, f"{settings.objects_url} can be written, read and deleted")
    yield _clock(before, info.modified)


def _clock(before: datetime, written: datetime) -> Finding:
    """Compare this machine's clock with the object store's, which for a folder is the same one."""
    skew = max(before - written, written - datetime.now(UTC))
    if skew > MOST_SKEW:
        seconds = round(skew.total_seconds())
        return Finding(
            "clock", False, f"differs by {seconds} s from the object store's; synchronize it, such as with NTP"
        )
    return Finding("clock", True, f"it is {before:%Y-%m-%d %H:%M} UTC")


def _tls(settings: Settings) -> Finding:
    fault = tls_fault(settings)
    if fault:
        return Finding("TLS", False, fault.rstrip("."))
    if settings.tls_cert is None or settings.tls_key is None:
        return Finding("TLS", True, "off; phones need https, from here or from a proxy")
    if _others_may_read(settings.tls_key):
        return Finding("TLS", False, f"everybody on this machine can read the key; type: chmod 600 {settings.tls_key}")
    ends = x509.load_pem_x509_certificate(settings.tls_cert.read_bytes()).not_valid_after_utc
    if ends - datetime.now(UTC) < LEAST_CERTIFICATE_LIFE:
        return Finding("TLS", False, f"the certificate ends on {ends:%Y-%m-%d}; renew {settings.tls_cert}")
    return Finding("TLS", True, f"the certificate is good until {ends:%Y-%m-%d}")


def _public_url(settings: Settings) -> Finding:
    url = settings.public_url
    if url is None:
        return Finding("public URL", True, "not set: links in answers follow the Host of each request")
    try:
        answer = httpx.get(f"{url}/ok", timeout=PUBLIC_URL_SECONDS)
        answers = answer.is_success and answer.json() == {"status": "ok"}
    except (httpx.HTTPError, ValueError) as fault:
        return Finding(
            "public URL", False, f"{url} does not answer ({reason(fault)}); start the server, or check the proxy"
        )
    if not answers:
        return Finding(
            "public URL", False, f"something else than Capstan answers at {url}; check public_url and the proxy"
        )
    return Finding("public URL", True, f"{url} answers")


def _objects_folder(settings: Settings) -> Path | None:
    url = urlsplit(settings.objects_url)
    return Path(unquote(url.path)) if url.scheme == "file" else None


def _existing(folder: Path) -> Path:
    return next(one for one in (folder, *folder.parents) if one.exists())


def _others_may_read(file: Path) -> bool:
    return bool(file.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))


def _place(engine: Engine) -> str:
    return engine.url.render_as_string(hide_password=True).replace("postgresql+psycopg", "postgresql")


def _setting_of(chain: str) -> str:
    return "database_url" if chain == "registry" else "telemetry_database_url"
