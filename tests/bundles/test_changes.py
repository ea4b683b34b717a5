from __future__ import annotations

from capstan.bundles.changes import changes
from capstan.updates.snapshot import ManifestFile


def file(name: str, content: str, size: int = 10, *, compressed: bool = False) -> ManifestFile:
    suffix = ".br" if compressed else ""
    return ManifestFile(name + suffix, content, f"orgs/o/apps/a.b/delta/{content}{suffix}", size)


def test_files_are_told_apart_by_name_and_content() -> None:
    old = [file("index.html", "one"), file("gone.js", "two"), file("same.css", "three")]
    new = [file("index.html", "four", 7), file("same.css", "three"), file("new.js", "five", 5)]
    found = changes(old, new)
    assert (found.added, found.removed, found.changed) == (("new.js",), ("gone.js",), ("index.html",))
    assert found.unchanged == 1
    assert found.download_bytes == 12


def test_a_file_that_moved_is_listed_but_not_fetched() -> None:
    found = changes([file("a.js", "one")], [file("b.js", "one")])
    assert (found.added, found.removed, found.download_bytes) == (("b.js",), ("a.js",), 0)


def test_without_an_earlier_bundle_everything_is_new() -> None:
    found = changes([], [file("b.js", "two", 3), file("a.js", "one", 4)])
    assert (found.added, found.unchanged, found.download_bytes) == (("a.js", "b.js"), 0, 7)


def test_a_file_that_is_compressed_from_now_on_is_the_same_file() -> None:
    found = changes([file("app.js", "one")], [file("app.js", "two", compressed=True)])
    assert (found.added, found.removed, found.changed) == ((), (), ("app.js",))


def test_a_file_compressed_by_its_maker_stays_apart_from_the_original() -> None:
    old = [file("app.js", "one", compressed=True), file("app.js.br", "two", compressed=True)]
    new = [file("app.js", "one", compressed=True), file("app.js.br", "three", compressed=True)]
    assert changes(old, new).changed == ("app.js.br",)


def test_a_plain_file_called_br_beside_a_plain_original_is_another_file() -> None:
    old = [file("a.js", "one"), ManifestFile("a.js.br", "two", "orgs/o/apps/a.b/delta/h_a.js.br", 1)]
    found = changes(old, [file("a.js", "one")])
    assert (found.removed, found.unchanged) == (("a.js.br",), 1)


def test_two_files_of_one_content_are_both_counted() -> None:
    assert changes([], [file("a.js", "one", 4), file("b.js", "one", 4)]).download_bytes == 8
