from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import brotli  # type: ignore[import-untyped]  # it ships no types
import pytest

from capstan.errors import Problem
from capstan.files.ingest import Ingest, Ingested
from capstan.files.objects import ObjectStore, Writes
from capstan.jobs.progress import Progress
from capstan.updates.snapshot import ManifestFile
from tests.files.zips import LIMITS, PAGE, noise, patched, text, zip_of

PREFIX = "orgs/o/apps/a.b"
NOTHING = hashlib.sha256(b"").hexdigest()

FILES = {
    "index.html": PAGE,
    "empty.txt": b"",
    "js/app.js": text(50_000),
    "js/copy.js": text(50_000),
    "just.js": text(8192, seed=2),
    "almost.js": text(8191, seed=3),
    "picture.png": noise(20_000),
    "with blank/ä%40 100%.js": text(9000, seed=4),
    "made.js.br": brotli.compress(text(30_000, seed=5)),
    "small.br": b"tiny",
    "noise.br": noise(9000, seed=6),
    "js/app.js.br": text(50_000),
    "large.js": text(3 << 20, seed=7),
    "large.bin": noise(3 << 20, seed=8),
}


def ingest(store: ObjectStore, path: Path, version: str = "1.0.0", report: list[Progress] | None = None) -> Ingested:
    def nowhere(_: Progress) -> None:
        return None

    return Ingest(store, PREFIX, version, report.append if report is not None else nowhere).plain_zip(path, LIMITS)


def as_device(store: ObjectStore, file: ManifestFile) -> tuple[str, bytes]:
    """What a device makes of a manifest entry (contract: device 7.6)."""
    content = store.read(file.s3_path)
    assert len(content) == file.file_size
    name = file.file_name
    if name.endswith(".br"):
        name = name.removesuffix(".br")
        content = brotli.decompress(content)
    assert hashlib.sha256(content).hexdigest() == file.file_hash
    return name, content


def test_a_device_gets_every_file_back_byte_for_byte(
    object_store: ObjectStore, upload: Callable[[bytes], Path]
) -> None:
    result = ingest(object_store, upload(zip_of(FILES)))
    assert dict(as_device(object_store, file) for file in result.files) == FILES


def test_the_zip_is_kept_as_it_came_with_its_checksum(
    object_store: ObjectStore, upload: Callable[[bytes], Path]
) -> None:
    content = zip_of(FILES)
    result = ingest(object_store, upload(content))
    assert result.zip_key == f"{PREFIX}/zip/{hashlib.sha256(content).hexdigest()}/1.0.0.zip"
    assert object_store.read(result.zip_key) == content
    assert (result.zip_size, result.zip_sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_files_are_compressed_by_the_rules_of_the_contract(
    local_store: ObjectStore, upload: Callable[[bytes], Path]
) -> None:
    result = ingest(local_store, upload(zip_of(FILES)))
    compressed = {file.file_name for file in result.files if file.s3_path.endswith(".br")}
    assert compressed == {
        "js/app.js.br",
        "js/copy.js.br",
        "just.js.br",
        "with blank/ä%40 100%.js.br",
        "made.js.br.br",
        "small.br.br",
        "noise.br.br",
        "js/app.js.br.br",
        "large.js.br",
    }
    names = {file.file_name for file in result.files}
    assert names - compressed == {"index.html", "empty.txt", "almost.js", "picture.png", "large.bin"}


def test_keys_are_the_hash_of_the_original_content(local_store: ObjectStore, upload: Callable[[bytes], Path]) -> None:
    result = ingest(local_store, upload(zip_of({"index.html": PAGE, "empty": b"", "app.js": text(9000)})))
    by_name = {file.file_name: file for file in result.files}
    assert by_name["empty"] == ManifestFile("empty", NOTHING, f"{PREFIX}/delta/{NOTHING}", 0)
    app = hashlib.sha256(text(9000)).hexdigest()
    assert by_name["app.js.br"].s3_path == f"{PREFIX}/delta/{app}.br"


def test_equal_files_are_stored_once(local_store: ObjectStore, upload: Callable[[bytes], Path]) -> None:
    result = ingest(local_store, upload(zip_of({"index.html": PAGE, "a.js": text(9000), "b.js": text(9000)})))
    assert len(result.files) == 3
    assert result.objects_stored == 2
    assert len(list(local_store.list_names())) == 3


def test_a_second_bundle_stores_only_what_is_new(object_store: ObjectStore, upload: Callable[[bytes], Path]) -> None:
    files = {"index.html": PAGE} | {
        f"js/{n}.js": text(200 + 97 * n, seed=n) if n % 2 else noise(8100 + n, seed=n) for n in range(99)
    }
    first = ingest(object_store, upload(zip_of(files)))
    assert (first.objects_stored, len(first.reused)) == (100, 0)
    before = {found.name for found in object_store.list_names()}

    files |= {f"js/{n}.js": text(10_000, seed=1000 + n) for n in range(5)}
    second = ingest(object_store, upload(zip_of(files)), "1.0.1")
    assert (second.objects_stored, len(second.reused)) == (5, 95)
    assert len({found.name for found in object_store.list_names()} - before) == 5 + 1
    assert dict(as_device(object_store, file) for file in second.files) == files
    unchanged = set(first.files) & set(second.files)
    assert len(unchanged) == 95


def test_apps_share_nothing(local_store: ObjectStore, upload: Callable[[bytes], Path]) -> None:
    path = upload(zip_of({"index.html": PAGE}))
    ingest(local_store, path)
    other = Ingest(local_store, "orgs/o/apps/other.app", "1.0.0", lambda _: None).plain_zip(path, LIMITS)
    assert (other.objects_stored, len(other.reused)) == (1, 0)


def test_a_zip_that_fails_while_it_is_unpacked_leaves_nothing(
    object_store: ObjectStore, upload: Callable[[bytes], Path]
) -> None:
    broken = patched(
        zip_of({"index.html": PAGE, "app.js": text(9000)}), local={14: b"\1\2\3\4"}, central={16: b"\1\2\3\4"}
    )
    with pytest.raises(Problem, match="does not match its checksum"):
        ingest(object_store, upload(broken))
    assert list(object_store.list_names()) == []


def test_a_failing_write_leaves_no_zip_and_nothing_beside_the_upload(
    local_store: ObjectStore, upload: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    written: list[str] = []

    def fail(_: Writes, key: str, _content: object) -> None:
        written.append(key)
        if len(written) > 1:
            raise ZeroDivisionError

    monkeypatch.setattr(Writes, "put_file", fail)
    path = upload(zip_of(FILES))
    with pytest.raises(ZeroDivisionError):
        ingest(local_store, path)
    assert [left for left in tmp_path.rglob("*") if left.is_file()] == [path]


def test_an_encrypted_upload_is_stored_as_it_came(object_store: ObjectStore, upload: Callable[[bytes], Path]) -> None:
    content = noise(10_000)
    result = Ingest(object_store, PREFIX, "2.0.0", lambda _: None).encrypted_zip(upload(content))
    sha256 = hashlib.sha256(content).hexdigest()
    assert result == Ingested(f"{PREFIX}/zip/{sha256}/2.0.0.zip", 10_000, sha256)
    assert object_store.read(result.zip_key) == content


def test_progress_counts_up_to_the_end_of_each_stage(local_store: ObjectStore, upload: Callable[[bytes], Path]) -> None:
    seen: list[Progress] = []
    content = zip_of(FILES)
    ingest(local_store, upload(content), report=seen)
    stages = list(dict.fromkeys(progress.stage for progress in seen))
    assert stages == ["checking files", "storing files", "storing zip"]
    unpacked = sum(map(len, FILES.values()))
    for stage, total in zip(stages, (unpacked, None, len(content)), strict=True):
        steps = [progress for progress in seen if progress.stage == stage]
        assert [step.done for step in steps] == sorted(step.done for step in steps)
        assert steps[0].done == 0
        assert steps[-1].done == steps[-1].total
        assert {step.total for step in steps} == {total or steps[-1].total}
