from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capstan.files.keys import object_name
from capstan.files.objects import WINDOW, ObjectMissing, ObjectStore, S3Options, StoreUnavailable, open_objects
from tests.files.conftest import Place
from tests.files.zips import noise

LONG_KEY = f"orgs/o/apps/a.b/delta/{'x' * 738}_{'ä' * 300}"


async def read_part(store: ObjectStore, key: str, start: int, stop: int, *, by_open: bool) -> bytes:
    found = await (store.open(key) if by_open else store.look(key))
    return b"".join([chunk async for chunk in found.chunks(start, stop)])


def test_what_was_put_is_read_again(object_store: ObjectStore) -> None:
    object_store.put_bytes(LONG_KEY, b"content")
    assert object_store.read(LONG_KEY) == b"content"
    assert object_store.exists(LONG_KEY)
    info = object_store.head(LONG_KEY)
    assert info is not None
    assert (info.size, info.modified.utcoffset()) == (7, timedelta())
    assert info.etag


def test_a_large_file_is_stored_and_stays_where_it_was(object_store: ObjectStore, tmp_path: Path) -> None:
    content = noise(9 << 20)
    path = tmp_path / "large"
    path.write_bytes(content)
    object_store.put_file("orgs/o/apps/a/large.zip", path)
    assert object_store.read("orgs/o/apps/a/large.zip") == content
    assert path.exists()


def test_a_later_write_replaces_an_earlier_one(object_store: ObjectStore) -> None:
    object_store.put_bytes("k", b"one")
    object_store.put_bytes("k", b"two")
    assert object_store.read("k") == b"two"


def test_what_is_absent_is_said_to_be_absent(object_store: ObjectStore) -> None:
    assert object_store.head("k") is None
    assert not object_store.exists("k")
    with pytest.raises(ObjectMissing) as refusal:
        object_store.read("k")
    assert (refusal.value.code, refusal.value.status) == ("not_found", 404)
    with pytest.raises(ObjectMissing):
        asyncio.run(object_store.open("k"))
    with pytest.raises(ObjectMissing):
        asyncio.run(object_store.look("k"))


def test_deleting_is_final_and_may_be_repeated(object_store: ObjectStore) -> None:
    object_store.put_bytes("k", b"content")
    object_store.delete("k")
    object_store.delete("k")
    assert not object_store.exists("k")


def test_many_keys_are_asked_for_at_once(object_store: ObjectStore) -> None:
    for number in range(20):
        object_store.put_bytes(f"k{number}", b"x" * number)
    heads = object_store.heads([f"k{number}" for number in range(0, 40, 2)])
    assert {key: info.size for key, info in heads.items()} == {f"k{number}": number for number in range(0, 20, 2)}


@pytest.mark.parametrize("by_open", [True, False])
@pytest.mark.parametrize(
    ("start", "stop"),
    [(0, 0), (0, 5), (3, WINDOW), (WINDOW - 1, WINDOW + 1), (WINDOW, 2 * WINDOW + 7), (0, 2 * WINDOW + 7)],
)
def test_any_part_of_an_object_can_be_read(object_store: ObjectStore, start: int, stop: int, by_open: bool) -> None:
    content = noise(2 * WINDOW + 7)
    object_store.put_bytes("k", content)
    assert asyncio.run(read_part(object_store, "k", start, stop, by_open=by_open)) == content[start:stop]


def test_an_empty_object_is_found_and_read(object_store: ObjectStore) -> None:
    object_store.put_bytes("empty", b"")
    found = asyncio.run(object_store.open("empty"))
    assert found.info.size == 0
    assert asyncio.run(read_part(object_store, "empty", 0, 0, by_open=True)) == b""


def test_a_reader_never_mixes_two_objects_that_had_the_same_key(object_store: ObjectStore) -> None:
    async def read_while_replaced() -> None:
        found = await object_store.open("k")
        chunks = found.chunks(0, found.info.size)
        await anext(chunks)
        await asyncio.to_thread(object_store.put_bytes, "k", noise(WINDOW + 10, seed=2))
        await anext(chunks)

    object_store.put_bytes("k", noise(WINDOW + 10, seed=1))
    with pytest.raises(StoreUnavailable):
        asyncio.run(read_while_replaced())


def test_writes_of_several_threads_are_all_there_at_the_end(object_store: ObjectStore) -> None:
    with object_store.writes() as writes, ThreadPoolExecutor(8) as pool:
        for number in range(40):
            pool.submit(writes.put_bytes, f"k{number}", b"x" * number)
    assert len(object_store.heads([f"k{number}" for number in range(40)])) == 40


def test_a_listing_shows_every_object_by_its_stored_name(object_store: ObjectStore) -> None:
    object_store.put_bytes("a", b"1")
    object_store.put_bytes("b", b"22")
    listed = {found.name: found.info.size for found in object_store.list_names()}
    assert listed == {object_name("a"): 1, object_name("b"): 2}
    object_store.delete_named(object_name("a"))
    assert not object_store.exists("a")


def test_a_folder_shows_nothing_of_writes_that_are_not_finished(local_store: ObjectStore) -> None:
    with local_store.writes() as writes:
        writes.put_bytes("k", b"content")
        assert not local_store.exists("k")
        assert list(local_store.list_names()) == []
    assert local_store.exists("k")


def test_a_folder_keeps_nothing_of_writes_that_fail(local_store: ObjectStore, tmp_path: Path) -> None:
    def fail() -> None:
        with local_store.writes() as writes:
            writes.put_bytes("k", b"content")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not local_store.exists("k")
    assert [path for path in (tmp_path / "objects").rglob("*") if path.is_file()] == []


def test_files_are_synced_before_they_become_visible_and_folders_after(
    local_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "objects"
    final = root / object_name("k")
    synced: list[tuple[int, bool]] = []
    lock = threading.Lock()
    real_fsync = os.fsync

    def fsync(handle: int) -> None:
        with lock:
            synced.append((os.fstat(handle).st_ino, final.exists()))
        real_fsync(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    local_store.put_bytes("k", b"content")
    folders = (final.parent, final.parent.parent, root)
    assert synced == [(final.stat().st_ino, False), *((folder.stat().st_ino, True) for folder in folders)]


def test_a_sweep_removes_only_what_has_been_left_for_long(local_store: ObjectStore, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    left = tmp_path / "objects" / "staging" / "crashed"
    left.mkdir(parents=True)
    (left / "0").write_bytes(b"half")
    local_store.put_bytes("k", b"content")
    local_store.sweep(now - timedelta(days=1))
    assert left.exists()
    local_store.sweep(now + timedelta(seconds=10))
    assert not left.exists()
    assert local_store.exists("k")


def test_a_store_that_does_not_answer_is_unavailable(unused_port: Callable[[], int]) -> None:
    options = S3Options(
        endpoint=f"http://127.0.0.1:{unused_port()}",
        region="us-east-1",
        access_key_id="test",
        secret_access_key="test",
        allow_http=True,
    )
    store = open_objects("s3://bucket", options)
    with pytest.raises(StoreUnavailable) as refusal:
        store.head("k")
    assert (refusal.value.code, refusal.value.status) == ("upstream_unavailable", 503)
    with pytest.raises(StoreUnavailable):
        store.put_bytes("k", b"content")
    with pytest.raises(StoreUnavailable):
        asyncio.run(store.open("k"))


def test_a_bucket_that_is_not_there_is_unavailable_for_writes(s3_place: Place) -> None:
    store = open_objects("s3://no-such-bucket", s3_place.s3)
    with pytest.raises(StoreUnavailable):
        store.put_bytes("k", b"content")


def test_objects_of_a_bucket_stay_below_its_prefix(s3_place: Place) -> None:
    s3_place.open().put_bytes("k", b"content")
    whole_bucket = open_objects(s3_place.url.removesuffix("/some/prefix"), s3_place.s3)
    assert [found.name for found in whole_bucket.list_names()] == [f"some/prefix/{object_name('k')}"]


def test_a_folder_may_be_given_as_path_text_or_url(tmp_path: Path) -> None:
    folder = tmp_path / "with blank"
    open_objects(folder).put_bytes("k", b"content")
    assert open_objects(str(folder)).exists("k")
    assert open_objects(folder.as_uri()).exists("k")


def test_google_cloud_and_azure_are_opened_without_being_asked_anything() -> None:
    assert open_objects("az://account/container/prefix")
    assert open_objects("gs://bucket/prefix")
    with pytest.raises(ValueError, match="cannot be kept at ftp"):
        open_objects("ftp://host/folder")


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(S3Options(endpoint="https://s3.example", secret_access_key="hush"))
