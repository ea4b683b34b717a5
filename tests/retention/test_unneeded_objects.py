"""Objects that nothing refers to: which are removed, and that no upload ever loses one; on both databases."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from capstan.apps import service as apps
from capstan.bundles import service as bundles
from capstan.bundles import store as bundles_store
from capstan.bundles.publishing import Release, publish
from capstan.channels import service as channels
from capstan.db.tables import app_versions, doomed_objects, manifest, stored_objects
from capstan.errors import Problem
from capstan.files.ingest import Ingested
from capstan.files.keys import object_name
from capstan.files.objects import ObjectStore, StoreUnavailable, open_objects
from capstan.jobs.job import Detail
from capstan.retention import objects as clean_up
from capstan.retention import store as retention_store
from capstan.updates.snapshot import ManifestFile
from tests.jobs.runs import FreeRun
from tests.public_api.world import APP, ORG, SYSTEM, World

PREFIX = f"orgs/{ORG}/apps/{APP}"
NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=8)


class Depot:
    """Objects in a folder, accounted for in the world's registry."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.store = open_objects(folder)
        self._folder = folder

    def put(self, name: str, *, touched: datetime | None = LONG_AGO, modified: datetime = LONG_AGO) -> str:
        """An object of the app, written and touched when it is said; its key. Not accounted for if never touched."""
        key = f"{PREFIX}/{name}"
        self.store.put_bytes(key, name.encode())
        os.utime(self._folder / object_name(key), (modified.timestamp(), modified.timestamp()))
        if touched is not None:
            with self.world.registry.write(SYSTEM) as session:
                bundles_store.touch_objects(session, APP, {key: len(name)})
                session.run(stored_objects.update().where(stored_objects.c.key == key).values(touched_at=touched))
        return key

    def bundle(self, version: str, zip_key: str, files: Mapping[str, str] | None = None) -> int:
        """A bundle of a zip and of delta files (name to key)."""
        bundle_id = self.world.add_bundle(version, storage_provider="r2", external_url=None, r2_path=zip_key)
        rows = [ManifestFile(name, "0" * 64, key, 1) for name, key in (files or {}).items()]
        with self.world.registry.write(SYSTEM) as session:
            bundles_store.insert_manifest(session, bundle_id, rows)
        return bundle_id

    def delete(self, version: str) -> None:
        with self.world.registry.write(SYSTEM) as session:
            bundles.delete(session, SYSTEM, APP, version)

    def clean(self, store: ObjectStore | None = None, **run: int) -> Detail:
        return clean_up.remove_unneeded_objects(self.world.registry, store or self.store, FreeRun(NOW, **run)).detail

    def there(self, *keys: str) -> list[bool]:
        return [self.store.exists(key) for key in keys]

    def accounted(self) -> set[str]:
        return {row["key"] for row in self.world.rows(stored_objects)}

    def doomed(self) -> set[str]:
        return {row["key"] for row in self.world.rows(doomed_objects)}


@pytest.fixture
def depot(world: World, tmp_path: Path) -> Depot:
    return Depot(world, tmp_path)


@pytest.fixture(autouse=True)
def _small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clean_up, "DOOM_SLICE", 3)
    monkeypatch.setattr(clean_up, "REMOVE_SLICE", 2)


def test_what_nothing_refers_to_is_removed_after_seven_days(depot: Depot) -> None:
    old = [depot.put(f"delta/{number}") for number in range(7)]
    young = depot.put("delta/young", touched=NOW - timedelta(days=6))
    assert depot.clean() == {"doomed": 7, "removed": 7, "kept": 0, "freed_bytes": 7 * len("delta/0")}
    assert depot.there(*old) == [False] * 7
    assert depot.there(young) == [True]
    assert depot.accounted() == {young}
    assert depot.doomed() == set()


def test_what_a_live_bundle_needs_stays_however_old_it_is(depot: Depot) -> None:
    zip_key, file_key, both = depot.put("1.zip"), depot.put("delta/a"), depot.put("delta/b")
    depot.bundle("1.0.0", zip_key, {"a.js": file_key, "b.js": both})
    other_zip = depot.put("2.zip")
    depot.bundle("2.0.0", other_zip, {"b.js": both})
    depot.delete("1.0.0")
    assert depot.clean()["removed"] == 2
    assert depot.there(zip_key, file_key, both, other_zip) == [False, False, True, True]


def test_objects_of_a_deleted_app_go_too(depot: Depot, world: World) -> None:
    key = depot.put("1.zip")
    depot.bundle("1.0.0", key)
    with world.registry.write(SYSTEM) as session:
        apps.delete(session, SYSTEM, APP)
    assert depot.clean()["removed"] == 1
    assert depot.there(key) == [False]


def test_what_nothing_accounts_for_is_left_alone(depot: Depot) -> None:
    """The folder or bucket may be shared, or the registry may be a backup that knows less than there is."""
    stranger = depot.put("delta/unknown", touched=None)
    assert depot.clean()["removed"] == 0
    assert depot.there(stranger) == [True]


def test_an_object_that_was_written_lately_is_kept_whatever_the_books_say(depot: Depot) -> None:
    key = depot.put("delta/fresh", modified=NOW - timedelta(days=1))
    assert depot.clean() == {"doomed": 1, "removed": 0, "kept": 1, "freed_bytes": 0}
    assert depot.there(key) == [True]
    (row,) = depot.world.rows(stored_objects)
    assert abs(row["touched_at"] - (NOW - timedelta(days=1))) < timedelta(seconds=1)
    assert depot.doomed() == set()


def test_an_object_that_is_gone_already_is_struck_from_the_books(depot: Depot) -> None:
    key = depot.put("delta/gone")
    depot.store.delete(key)
    assert depot.clean()["removed"] == 1
    assert depot.accounted() == depot.doomed() == set()


def test_a_missing_object_changes_no_bundle_and_no_channel(depot: Depot, world: World) -> None:
    key, file_key = depot.put("1.zip"), depot.put("delta/a")
    depot.bundle("1.0.0", key, {"a.js": file_key})
    with world.registry.write(SYSTEM) as session:
        channels.save(session, SYSTEM, APP, "production", {"version": "1.0.0"})
    for missing in (key, file_key):
        depot.store.delete(missing)
    before = [world.rows(table) for table in (app_versions, manifest, stored_objects)]
    assert depot.clean()["removed"] == 0
    assert [world.rows(table) for table in (app_versions, manifest, stored_objects)] == before
    with world.registry.read() as session:
        channel = channels.find(session, APP, "production")
    assert channel is not None
    assert channel["version"] == before[0][0]["id"]


def test_a_bundle_that_comes_before_the_last_look_keeps_its_objects(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = depot.put("delta/a")
    zip_key = depot.put("1.zip", touched=NOW)
    after(monkeypatch, "unneeded_objects", lambda: depot.bundle("1.0.0", zip_key, {"a.js": key}))
    assert depot.clean() == {"doomed": 0, "removed": 0, "kept": 0, "freed_bytes": 0}
    assert depot.there(key) == [True]
    assert key in depot.accounted()


def test_an_upload_that_touches_an_object_before_the_last_look_keeps_it(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = depot.put("delta/a")
    after(monkeypatch, "unneeded_objects", lambda: touch(depot, key))
    assert depot.clean()["doomed"] == 0
    assert depot.there(key) == [True]


def touch(depot: Depot, key: str) -> None:
    with depot.world.registry.write(SYSTEM) as session:
        bundles_store.touch_objects(session, APP, {key: 1})


def after(monkeypatch: pytest.MonkeyPatch, name: str, change: Callable[[], object]) -> None:
    """Let something happen once, right after this question was answered."""
    ask = getattr(retention_store, name)

    def ask_then_change(*arguments: Any) -> Any:
        found = ask(*arguments)
        monkeypatch.setattr(retention_store, name, ask)
        change()
        return found

    monkeypatch.setattr(retention_store, name, ask_then_change)


def release_of(depot: Depot, version: str, reused: str) -> Callable[[], None]:
    """An upload of which one file was found stored, about to be published."""
    zip_key = f"{PREFIX}/zip/{version}.zip"
    depot.store.put_bytes(zip_key, b"zip")
    stored = Ingested(zip_key, 3, "0" * 64, (ManifestFile("a.js", "1" * 64, reused, 7),), 0, (reused,))

    def publish_it() -> None:
        with depot.world.registry.write(SYSTEM) as session:
            publish(session, SYSTEM, Release(app_id=APP, version=version), stored, depot.store)

    return publish_it


def test_a_doomed_object_that_a_release_relies_on_is_kept(depot: Depot, monkeypatch: pytest.MonkeyPatch) -> None:
    key = depot.put("delta/a")
    after(monkeypatch, "doomed_after", release_of(depot, "1.0.0", key))
    assert depot.clean() == {"doomed": 1, "removed": 0, "kept": 1, "freed_bytes": 0}
    assert depot.there(key) == [True]
    assert key in depot.accounted()
    assert depot.doomed() == set()


def test_a_release_that_relied_on_a_removed_object_is_asked_to_upload_again(depot: Depot) -> None:
    key = depot.put("delta/a")
    publish_it = release_of(depot, "1.0.0", key)
    depot.clean()
    assert depot.there(key) == [False]
    with pytest.raises(Problem) as refusal:
        publish_it()
    assert refusal.value.code == "upload_retryable"
    assert depot.world.rows(app_versions) == []


def test_a_release_in_the_very_moment_of_the_removal_waits_for_it_and_then_looks_again(depot: Depot) -> None:
    key = depot.put("delta/a")
    publish_it = release_of(depot, "1.0.0", key)
    refusals: list[str] = []

    def release() -> None:
        try:
            publish_it()
        except Problem as problem:
            refusals.append(problem.code)

    class InTheMoment:
        heads = depot.store.heads

        def delete(self, doomed: str) -> None:
            releasing.start()
            # It cannot come to an end while the object's place is claimed; were it not, this is ample time.
            releasing.join(0.3)
            assert releasing.is_alive()
            depot.store.delete(doomed)

    releasing = threading.Thread(target=release)
    depot.clean(store=InTheMoment())  # type: ignore[arg-type]  # the two methods that are used
    releasing.join()
    assert refusals == ["upload_retryable"]
    assert depot.world.rows(app_versions) == []


def test_a_crash_between_the_two_steps_loses_nothing_and_is_made_good(depot: Depot) -> None:
    key = depot.put("delta/a")
    assert depot.clean(slices=1)["doomed"] == 1
    assert (depot.there(key), depot.accounted(), depot.doomed()) == ([True], set(), {key})
    assert depot.clean()["removed"] == 1
    assert (depot.there(key), depot.doomed()) == ([False], set())


def test_a_release_after_such_a_crash_keeps_the_object(depot: Depot) -> None:
    key = depot.put("delta/a")
    depot.clean(slices=1)
    release_of(depot, "1.0.0", key)()
    assert depot.clean()["removed"] == 0
    assert depot.there(key) == [True]
    assert depot.doomed() == set()


class Refusing:
    """A store that finds objects, but cannot remove them after the first."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._removals = 0
        self.heads = store.heads

    def delete(self, key: str) -> None:
        self._removals += 1
        if self._removals > 1:
            raise StoreUnavailable
        self._store.delete(key)


def test_a_store_that_fails_halfway_leaves_nothing_that_a_release_would_rely_on(depot: Depot) -> None:
    keys = [depot.put("delta/a"), depot.put("delta/b")]
    with pytest.raises(StoreUnavailable):
        depot.clean(store=Refusing(depot.store))  # type: ignore[arg-type]  # the two methods that are used
    assert sorted(depot.there(*keys)) == [False, True]
    assert depot.accounted() == set()
    assert depot.doomed() == set(keys)
    assert depot.clean()["removed"] == 2
    assert depot.doomed() == set()


def test_a_reference_that_nobody_accounted_for_is_still_seen_in_the_last_moment(
    depot: Depot, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = depot.put("delta/a")
    after(monkeypatch, "doomed_after", lambda: depot.bundle("1.0.0", "elsewhere.zip", {"a.js": key}))
    with capture_logs() as logs:
        assert depot.clean()["kept"] == 1
    assert depot.there(key) == [True]
    assert key in depot.accounted()
    assert [line["keys"] for line in logs if line["log_level"] == "error"] == [[key]]
