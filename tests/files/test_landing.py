"""Writes that become visible together, or leave nothing."""

from __future__ import annotations

from pathlib import Path

from obstore.store import LocalStore

from capstan.files.landing import LocalLanding


def test_a_write_that_ends_after_all_were_given_up_leaves_nothing(tmp_path: Path) -> None:
    landing = LocalLanding(LocalStore(tmp_path), tmp_path, "one")
    landing.write("ab/first", b"in time")
    landing.discard()
    landing.write("ab/second", b"too late")
    assert not [left for left in tmp_path.rglob("*") if left.is_file()]
