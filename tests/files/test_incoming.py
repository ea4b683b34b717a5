from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from capstan.errors import Problem
from capstan.files.incoming import Incoming
from tests.files.zips import noise


async def body(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def test_an_upload_is_written_as_it_arrives(tmp_path: Path) -> None:
    content = noise(3_000_000)
    pieces = [content[start : start + 65_536] for start in range(0, len(content), 65_536)]
    path = asyncio.run(Incoming(tmp_path / "incoming", 3_000_000).receive("u1", body(*pieces)))
    assert path == tmp_path / "incoming" / "u1"
    assert path.read_bytes() == content


def test_an_upload_that_is_too_large_is_cut_off_and_gone(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    with pytest.raises(Problem) as refusal:
        asyncio.run(Incoming(tmp_path, 1_000_000).receive("u1", endless()))
    assert (refusal.value.code, refusal.value.status) == ("bundle_too_large", 413)
    assert list(tmp_path.iterdir()) == []


def test_an_upload_that_breaks_off_is_gone(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 600_000
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        asyncio.run(Incoming(tmp_path, 1_000_000).receive("u1", broken()))
    assert list(tmp_path.iterdir()) == []


def test_discarding_takes_along_what_work_left_beside_the_upload(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path, 100)
    path = asyncio.run(incoming.receive("u1", body(b"x")))
    asyncio.run(incoming.receive("u12", body(b"x")))
    (tmp_path / "u1.tmp").touch()
    incoming.discard(path)
    incoming.discard(path)
    assert [left.name for left in tmp_path.iterdir()] == ["u12"]


def test_a_sweep_removes_only_what_has_been_left_for_long(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path, 100)
    path = asyncio.run(incoming.receive("u1", body(b"x")))
    now = datetime.now(UTC)
    incoming.sweep(now - timedelta(hours=1))
    assert path.exists()
    incoming.sweep(now + timedelta(seconds=10))
    assert not path.exists()
