from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from capstan.errors import Problem
from capstan.files.ingest_child import IngestRequest, ingest_in_child
from capstan.jobs.child import run_in_child
from capstan.jobs.progress import Progress
from tests.files.conftest import Place
from tests.files.tasks import Done, Order
from tests.files.zips import LIMITS, PAGE, text, zip_of


def run_task(order: Order, seen: list[Progress] | None = None) -> Done:
    target = seen if seen is not None else []
    return asyncio.run(run_in_child("tests.files.tasks", order, Done, target.append))


def test_a_child_answers_with_its_result() -> None:
    assert run_task(Order("hello")) == Done("hello")


def test_an_answer_may_be_long() -> None:
    assert run_task(Order("long")).text == "x" * 100_000


def test_a_problem_of_the_task_arrives_unchanged() -> None:
    with pytest.raises(Problem) as refusal:
        run_task(Order("refuse"))
    problem = refusal.value
    assert (problem.code, problem.message, problem.status) == ("zip_damaged", "no good", 418)
    assert problem.more == {"why": [1]}


@pytest.mark.parametrize("what", ["break", "die"])
def test_a_task_that_fails_or_dies_is_an_unknown_error(what: str) -> None:
    with pytest.raises(Problem) as refusal:
        run_task(Order(what))
    assert (refusal.value.code, refusal.value.status) == ("unknown_error", 500)


def test_what_a_task_prints_does_not_disturb_the_conversation() -> None:
    assert run_task(Order("chat")) == Done("chat")


def test_progress_arrives_thinned_out_but_with_both_ends_of_each_stage() -> None:
    seen: list[Progress] = []
    run_task(Order("count"), seen)
    assert seen[0] == Progress("first", 0, 1000)
    assert Progress("first", 1000, 1000) in seen
    assert seen[-1] == Progress("second", 0, 5)
    assert len(seen) < 100


def test_a_child_whose_caller_is_cancelled_cleans_up_and_ends(tmp_path: Path) -> None:
    async def cancel_once_it_waits() -> None:
        waiting = asyncio.Event()
        task = asyncio.create_task(
            run_in_child("tests.files.tasks", Order("wait", str(tmp_path)), Done, lambda _: waiting.set())
        )
        await waiting.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel_once_it_waits())
    assert (tmp_path / "cleaned").exists()
    assert not psutil.pid_exists(int((tmp_path / "pid").read_text()))


def request(place: Place, path: Path, *, encrypted: bool = False) -> IngestRequest:
    return IngestRequest(
        objects_url=place.url,
        s3=place.s3,
        zip_path=str(path),
        app_prefix="orgs/o/apps/a.b",
        version="1.0.0",
        encrypted=encrypted,
        quality=5,
        limits=LIMITS,
    )


def test_ingest_in_a_child_stores_what_the_parent_can_read(place: Place, upload: Callable[[bytes], Path]) -> None:
    content = zip_of({"index.html": PAGE, "app.js": text(9000)})
    seen: list[Progress] = []
    result = asyncio.run(ingest_in_child(request(place, upload(content)), seen.append))
    assert result.zip_sha256 == hashlib.sha256(content).hexdigest()
    assert {file.file_name for file in result.files} == {"index.html", "app.js.br"}
    store = place.open()
    assert store.read(result.zip_key) == content
    assert store.heads([file.s3_path for file in result.files]).keys() == {file.s3_path for file in result.files}
    assert seen[-1] == Progress("storing zip", len(content), len(content))


def test_a_refusal_of_the_ingest_keeps_its_code(local_place: Place, upload: Callable[[bytes], Path]) -> None:
    with pytest.raises(Problem) as refusal:
        asyncio.run(ingest_in_child(request(local_place, upload(b"no zip")), lambda _: None))
    assert (refusal.value.code, refusal.value.status) == ("zip_damaged", 400)


def test_an_encrypted_upload_is_not_looked_into(local_place: Place, upload: Callable[[bytes], Path]) -> None:
    path = upload(b"no zip")
    result = asyncio.run(ingest_in_child(request(local_place, path, encrypted=True), lambda _: None))
    assert (result.zip_size, result.files) == (6, ())


def test_a_cancelled_ingest_leaves_nothing_in_the_store(
    local_place: Place, upload: Callable[[bytes], Path], tmp_path: Path
) -> None:
    content = zip_of({"index.html": PAGE} | {f"{n}.js": text(100_000, seed=n) for n in range(40)})
    path = upload(content)

    async def cancel_while_it_stores() -> None:
        storing = asyncio.Event()

        def watch(progress: Progress) -> None:
            if progress.stage == "storing files":
                storing.set()

        order = request(local_place, path)
        task = asyncio.create_task(ingest_in_child(order, watch))
        await storing.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancel_while_it_stores())
    assert [left for left in tmp_path.rglob("*") if left.is_file()] == [path]
