"""Read your writes: what a change means for the very next answer, on both databases, and what failures mean."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, text, update

from capstan.access.principal import SystemPrincipal
from capstan.db.engine import open_engine
from capstan.db.migrate import migrate
from capstan.db.session import Registry
from capstan.db.tables import app_versions, apps, channels
from capstan.stores import sqlite_file
from capstan.updates.directory import Directory, RegistryUnavailableError
from capstan.updates.directory_postgresql import PostgresDirectory
from capstan.updates.directory_sqlite import SqliteDirectory
from tests.databases import DatabaseUrls
from tests.device_world import seed

WORLD = Path(__file__).parents[1] / "vectors" / "device" / "world.json"
APP = "com.golden.base"
LATEST_SECONDS = 5.0


@pytest.fixture(scope="module")
def registry(database_urls: DatabaseUrls) -> Iterator[Registry]:
    engine = open_engine(database_urls.registry)
    migrate(engine, "registry")
    seed(engine, json.loads(WORLD.read_text()))
    yield Registry(engine)
    engine.dispose()


def directory_of(urls: DatabaseUrls, engine: Engine, stale_for: float = 900) -> Directory:
    if urls.kind == "sqlite":
        return SqliteDirectory(sqlite_file(urls.registry), stale_for)
    return PostgresDirectory(engine, urls.registry, stale_for)


@asynccontextmanager
async def started(directory: Directory) -> Any:
    await directory.start()
    try:
        yield directory
    finally:
        await directory.stop()


def set_version(registry: Registry, channel_id: int, version: int, app_id: str = APP) -> None:
    with registry.write(SystemPrincipal("test")) as session:
        session.run(update(channels).where(channels.c.id == channel_id).values(version=version))
        session.touch_app(app_id)


async def target(directory: Directory, name: str) -> str | None:
    entry = await directory.app(APP)
    assert entry is not None
    bundle = entry.snapshot.channels_by_name[name].target
    return bundle.name if bundle is not None else None


async def becomes(answer: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Wait until an answer is as wanted; on SQLite it must be so at once, on PostgreSQL within moments."""
    until = time.monotonic() + LATEST_SECONDS
    while await answer() != wanted:
        assert time.monotonic() < until, f"still {await answer()!r}, not {wanted!r}"
        await asyncio.sleep(0.01)


def test_a_change_is_seen_by_the_next_answer(registry: Registry, database_urls: DatabaseUrls) -> None:
    async def check() -> None:
        async with started(directory_of(database_urls, registry.engine)) as directory:
            assert await target(directory, "production") == "1.2.0"
            for version, name in ((1005, "1.4.0"), (1003, "1.2.0")) * 5:
                await asyncio.to_thread(set_version, registry, 501, version)
                if database_urls.kind == "sqlite":
                    assert await target(directory, "production") == name
                await becomes(lambda: target(directory, "production"), name)

    asyncio.run(check())


def test_a_change_is_seen_when_its_notice_is_lost(registry: Registry, database_urls: DatabaseUrls) -> None:
    async def check() -> None:
        async with started(directory_of(database_urls, registry.engine)) as directory:
            assert await target(directory, "production") == "1.2.0"
            with registry.engine.begin() as connection:
                connection.execute(update(channels).where(channels.c.id == 501).values(version=1005))
                connection.execute(update(apps).where(apps.c.app_id == APP).values(revision=apps.c.revision + 1))
            await becomes(lambda: target(directory, "production"), "1.4.0")
            await asyncio.to_thread(set_version, registry, 501, 1003)

    asyncio.run(check())


def test_an_app_is_known_from_its_creation_to_its_end(registry: Registry, database_urls: DatabaseUrls) -> None:
    async def known(directory: Directory) -> bool:
        return await directory.app("com.example.fresh") is not None

    def create() -> None:
        with registry.write(SystemPrincipal("test")) as session:
            row = dict(session.first(apps.select().where(apps.c.app_id == APP)) or {})
            row |= {"id": "0" * 36, "app_id": "com.example.fresh", "revision": 1}
            session.run(apps.insert().values(row))
            session.touch_app("com.example.fresh")

    def delete() -> None:
        with registry.write(SystemPrincipal("test")) as session:
            session.run(apps.delete().where(apps.c.app_id == "com.example.fresh"))
            session.touch_app("com.example.fresh")

    async def check() -> None:
        async with started(directory_of(database_urls, registry.engine)) as directory:
            assert not await known(directory)
            await asyncio.to_thread(create)
            await becomes(lambda: known(directory), True)
            await asyncio.to_thread(delete)
            await becomes(lambda: known(directory), False)

    asyncio.run(check())


def test_a_bundle_is_found_by_name_and_a_new_one_after_its_release(
    registry: Registry, database_urls: DatabaseUrls
) -> None:
    async def found(directory: Directory, name: str) -> object:
        entry = await directory.app(APP)
        assert entry is not None
        return await directory.bundle(entry, name)

    def release() -> None:
        with registry.write(SystemPrincipal("test")) as session:
            row = dict(session.first(app_versions.select().where(app_versions.c.id == 1003)) or {})
            session.run(app_versions.insert().values(row | {"id": 900_001, "name": "7.7.7"}))
            session.touch_app(APP)

    async def check() -> None:
        async with started(directory_of(database_urls, registry.engine)) as directory:
            assert await found(directory, "1.2.0") == (1003, True)
            assert await found(directory, "builtin") == (1001, False)
            assert await found(directory, "7.7.7") is None
            await asyncio.to_thread(release)
            await becomes(lambda: found(directory, "7.7.7"), (900_001, True))

    asyncio.run(check())


def test_overrides_of_many_devices_asked_at_once_are_each_their_own(
    registry: Registry, database_urls: DatabaseUrls
) -> None:
    wanted = {0x100: 533, 0x101: 534, 0x102: 535, 0x555: None}

    async def check() -> None:
        async with started(directory_of(database_urls, registry.engine)) as directory:
            ids = [f"{number:08x}-0000-4000-8000-{number:012x}" for number in wanted for _ in range(50)]
            states = await asyncio.gather(*(directory.device_state("com.golden.override", one) for one in ids))
            got = {one: state.override_channel_id for one, state in zip(ids, states, strict=True)}
            assert list(got.values()) == list(wanted.values())

    asyncio.run(check())


def test_a_registry_that_cannot_be_read_is_stood_in_for_by_the_last_snapshot(
    registry: Registry, database_urls: DatabaseUrls
) -> None:
    def rename(old: str, new: str) -> None:
        with registry.engine.begin() as connection:
            connection.execute(text(f"alter table {old} rename to {new}"))

    async def known(directory: Directory) -> bool:
        return await directory.app(APP) is not None

    async def check() -> None:
        patient = directory_of(database_urls, registry.engine, stale_for=900)
        impatient = directory_of(database_urls, registry.engine, stale_for=0)
        async with started(patient), started(impatient):
            assert await known(patient)
            assert await known(impatient)
            await asyncio.to_thread(set_version, registry, 501, 1003)
            await asyncio.to_thread(rename, "apps", "apps_away")
            try:
                await asyncio.sleep(0.05)
                assert await target(patient, "production") == "1.2.0"
                with pytest.raises(RegistryUnavailableError):
                    await impatient.app("com.golden.policy")
            finally:
                await asyncio.to_thread(rename, "apps_away", "apps")
            await becomes(lambda: known(impatient), True)

    asyncio.run(check())
