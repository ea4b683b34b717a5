"""`POST /updates/manifest_size` over HTTP, on both databases (contract: device 1.10)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates import store
from capstan.updates.directory import RegistryUnavailableError
from capstan.updates.manifest_size import MAX_BUNDLES, AskedFile, ManifestSizeHandler, asked_files, size_reply
from tests.databases import DatabaseUrls
from tests.updates.acme import DELTA, NOTES, Acme, acme_server, new_device
from tests.updates.world import BASE, HASHES

A1, B2, C3 = HASHES.values()
PATH = "/updates/manifest_size"
LIMITED = "io.acme.limited"


@pytest.fixture(scope="module")
def acme(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Acme]:
    limited = f'[{{"id": "{LIMITED}", "ignore": 1}}]'
    with acme_server(database_urls, tmp_path_factory.mktemp("data"), limited_apps=limited) as acme:
        yield acme


def entry(file_hash: str = A1, key: object = None, name: str = "index.html") -> dict[str, Any]:
    url = f"https://updates.example/files/read/attachments/x?key={key}&device_id=d" if key is not None else None
    return {"file_name": name, "file_hash": file_hash, "download_url": url}


def sizes(acme: Acme, *entries: Any, app_id: str = DELTA, **members: Any) -> list[int | None]:
    """The sizes of the reply; None where one is not known."""
    answer = acme.ask(new_device(), "POST", PATH, app_id=app_id, manifest=list(entries), **members)
    assert answer.status_code == 200, answer.text
    reply = answer.json()
    found = [file.get("size") for file in reply["files"]]
    known = [size for size in found if size is not None]
    assert (reply["totalSize"], reply["knownFiles"]) == (sum(known), len(known))
    assert reply["unknownFiles"] == len(found) - len(known)
    return found


def test_sizes_are_asked_and_nothing_is_recorded(acme: Acme) -> None:
    device_id = new_device()
    known, unknown = entry(key=201), entry(C3, name="gone.js")
    answer = acme.ask(device_id, "POST", PATH, app_id=DELTA, files=[known, unknown])
    assert answer.json() == {
        "totalSize": 5120,
        "knownFiles": 1,
        "unknownFiles": 1,
        "files": [{**known, "size": 5120}, {**unknown, "error": "size_unknown"}],
    }
    assert acme.recorded(device_id) == []


def test_the_bundle_of_the_url_goes_before_id_and_id_before_name(acme: Acme) -> None:
    assert sizes(acme, entry(key=202), version_id=201, version="2.1.0") == [5200]
    assert sizes(acme, entry(), version_id=201, version="2.2.0") == [5120]
    assert sizes(acme, entry(), version_id="202") == [5200]
    assert sizes(acme, entry(), version="2.2.0") == [5200]
    assert sizes(acme, entry()) == [5200]


@pytest.mark.parametrize("key", ["", "abc", "0", "-1", "2.5", "99999999999999999999"])
def test_a_key_that_is_no_bundle_id_names_none(acme: Acme, key: str) -> None:
    assert sizes(acme, entry(key=key), version="2.1.0") == [5120]
    assert sizes(acme, entry(), version_id=key, version="2.1.0") == [5120]


def test_bundles_that_are_deleted_or_of_another_app_are_not_known(acme: Acme) -> None:
    assert sizes(acme, entry("d4" * 32), entry("d4" * 32, key=203)) == [None, None]
    assert sizes(acme, entry("d4" * 32), version="1.0.0") == [None]
    assert sizes(acme, entry(key=201), app_id=NOTES) == [None]
    assert sizes(acme, entry(key=201), app_id="io.acme.ghost") == [None]


def test_files_without_a_size_are_not_known(acme: Acme) -> None:
    assert sizes(acme, entry("e0" * 32, key=201), entry(B2, key=202)) == [None, None]


def test_a_file_takes_the_size_that_was_found_for_another_entry(acme: Acme) -> None:
    assert sizes(acme, entry(B2, key=999), entry(B2, key=201, name="other")) == [9000, 9000]


def test_entries_without_a_hash_and_repeated_entries_are_left_out(acme: Acme) -> None:
    odd = [None, 5, "x", {}, {"file_hash": ""}, {"file_hash": 7}]
    assert sizes(acme, *odd, entry(), entry(), entry(name="again")) == [5200, 5200]


@pytest.mark.parametrize("members", [{}, {"manifest": "x"}, {"files": {}}, {"manifest": []}])
def test_a_request_without_a_list_has_no_files(acme: Acme, members: dict[str, Any]) -> None:
    answer = acme.client.post(PATH, json={**BASE, "app_id": DELTA, **members})
    assert answer.json() == {"totalSize": 0, "knownFiles": 0, "unknownFiles": 0, "files": []}


def test_a_large_manifest_is_looked_up_whole(acme: Acme) -> None:
    many = [entry(f"{number:064x}", key=201) for number in range(1200)]
    assert sizes(acme, *many, entry(key=201)) == [None] * 1200 + [5120]


def test_no_more_bundles_are_looked_up_than_a_request_may_name(acme: Acme) -> None:
    strange = [entry(C3, key=10_000 + number) for number in range(MAX_BUNDLES)]
    assert sizes(acme, *strange, entry(key=201)) == [None] * (MAX_BUNDLES + 1)


def test_the_request_is_checked_like_an_update_check(acme: Acme) -> None:
    answer = acme.client.post(PATH, json={"app_id": DELTA, "manifest": []})
    assert (answer.status_code, answer.json()["error"]) == (400, "missing_device_id")
    assert acme.client.post(PATH, content=b"[").status_code == 400
    assert acme.client.get(PATH).status_code == 404
    limited = acme.ask(new_device(), "POST", PATH, app_id=LIMITED)
    assert (limited.status_code, limited.json()["moreInfo"]) == (429, {"app_id": LIMITED})


def test_sizes_of_one_bundle_are_read_from_its_own_rows(acme: Acme) -> None:
    if acme.registry.engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL decides by the sizes of the tables")
    plan: list[str] = []

    def explain(sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
        with acme.registry.engine.connect() as connection:
            rows = connection.exec_driver_sql(f"explain query plan {sql}", tuple(parameters))
            plan.extend(row[3] for row in rows)
        return []

    store.file_sizes(explain, DELTA, 201, [A1, B2, C3])
    assert any("app_version_id=?" in step for step in plan), plan


def test_a_registry_that_cannot_be_read_is_asked_again_later() -> None:
    class Unreadable:
        async def read(self, _work: object) -> None:
            raise RegistryUnavailableError

    directory: Any = Unreadable()
    body = msgspec.json.encode({**BASE, "manifest": [entry()]})

    async def ask() -> int:
        return (await ManifestSizeHandler(directory, lambda _app, _device: None).answer(body)).status

    assert asyncio.run(ask()) == 503


JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
ENTRIES = st.dictionaries(st.sampled_from(["file_name", "file_hash", "download_url"]), JSON)


@settings(max_examples=100)
@given(JSON | st.lists(JSON | ENTRIES))
def test_any_list_has_a_reply_with_its_own_files(entries: Any) -> None:
    files = asked_files({"manifest": entries})
    assert len(files) == len(set(files))
    reply = msgspec.json.decode(size_reply(files, [None] * len(files), {}))
    assert [AskedFile(one["file_name"], one["file_hash"], one["download_url"]) for one in reply["files"]] == files
