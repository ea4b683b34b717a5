"""Stored bytes by day: whatever is published and deleted, the days add up to the bundles that are left."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from capstan.apps import service as apps
from capstan.bundles import service as bundles
from capstan.db.session import Registry, WriteSession
from capstan.db.tables import app_versions, daily_storage
from capstan.errors import Problem
from capstan.statistics import store
from tests.bundles.uploads import PAGE, Uploads
from tests.databases import Databases
from tests.files.zips import zip_of
from tests.public_api.plane import accepted, refused
from tests.public_api.world import APP, ORG, SYSTEM, World

OTHER = "com.demo.other"
FIRST_DAY = datetime(2026, 3, 30, 12, tzinfo=UTC)

_apps = st.sampled_from((APP, OTHER))
_names = st.sampled_from(("1.0.0", "1.0.1", "1.0.2"))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), _apps, _names, st.integers(0, 10**10)),
        st.tuples(st.just("publish"), _apps, _names, st.integers(0, 10**10)),
        st.tuples(st.just("delete"), _apps, _names, st.just(0)),
        st.tuples(st.just("delete unlinked"), _apps, st.just(""), st.just(0)),
        st.tuples(st.just("delete app"), _apps, st.just(""), st.just(0)),
        st.tuples(st.just("next day"), st.just(""), st.just(""), st.just(0)),
    ),
    max_size=25,
)


def do(session: WriteSession, what: str, app_id: str, name: str, size: int) -> None:
    """One step; what cannot be done is refused."""
    if what == "publish":
        app = apps.read(session, SYSTEM, app_id)
        if name not in {row["name"] for row in session.rows(select(app_versions.c.name).filter_by(app_id=app_id))}:
            values = {"name": name, "size": size, "storage_provider": "r2", "r2_path": f"{app_id}/{name}"}
            bundles.insert(session, SYSTEM, app, values)
    elif what == "delete":
        bundles.delete(session, SYSTEM, app_id, name)
    elif what == "delete unlinked":
        bundles.delete_unlinked(session, SYSTEM, app_id)
    elif what == "delete app":
        apps.delete(session, SYSTEM, app_id)
        apps.create(session, SYSTEM, apps.NewApp(app_id, "again", ORG))


def storage_adds_up(registry: Registry) -> None:
    """The invariant of docs/statistics.md, and the server's own look at it."""
    with registry.read() as session:
        days = session.rows(select(daily_storage).order_by(daily_storage.c.date))
        live = session.rows(select(app_versions).where(~app_versions.c.deleted))
        assert store.storage_differences(session) == []
        assert store.counted_storage(session) == sum(row["size"] for row in live)
    added_up: Counter[str] = Counter()
    for row in days:
        added_up[row["app_id"]] += row["storage"]
        assert added_up[row["app_id"]] >= 0, "less than nothing was stored"
    stored: Counter[str] = Counter()
    for row in live:
        stored[row["app_id"]] += row["size"]
    assert added_up == stored


@settings(max_examples=25, deadline=None)
@given(steps=STEPS)
def test_the_days_add_up_to_what_is_stored(
    shared_databases: Databases, event_loop_runner: asyncio.Runner, steps: list[tuple[str, str, str, int]]
) -> None:
    registry = Registry(shared_databases.registry)
    try:
        World(registry, shared_databases.telemetry, event_loop_runner).add_app(OTHER)
        now = FIRST_DAY
        for what, *arguments in steps:
            now += timedelta(days=what == "next day")
            try:
                with registry.write(SYSTEM) as session:
                    session.now = now
                    do(session, what, *arguments)  # type: ignore[arg-type]  # a step's members are what it takes
            except Problem:
                pass
            storage_adds_up(registry)
    finally:
        shared_databases.empty()


def test_an_upload_counts_its_zip_until_it_is_deleted(uploads: Uploads) -> None:
    content = zip_of({"index.html": PAGE, "app.js": b"0" * 5000})
    accepted(uploads.send(content))
    (day,) = uploads.world.rows(daily_storage)
    assert (day["app_id"], day["owner_org"], day["storage"]) == (APP, ORG, len(content))
    accepted(uploads.world.owner.delete("/bundle", app_id=APP, version="1.0.0"))
    assert [row["storage"] for row in uploads.world.rows(daily_storage)] == [0]
    storage_adds_up(uploads.world.registry)


def test_an_upload_that_is_refused_counts_nothing(uploads: Uploads) -> None:
    content = zip_of({"index.html": PAGE})
    assert refused(uploads.send(content, checksum="0" * 64)) == (400, "checksum_mismatch")
    assert uploads.world.rows(daily_storage) == []


def test_a_difference_is_found(world: World) -> None:
    world.add_bundle("1.0.0", size=500)
    with world.registry.read() as session:
        (wrong,) = store.storage_differences(session)
    assert (wrong["app_id"], wrong["owner_org"]) == (APP, ORG)
    assert (int(wrong["counted"]), int(wrong["stored"])) == (0, 500)
