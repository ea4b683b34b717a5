from __future__ import annotations

import pytest

from capstan.files.conditions import Selection, select

TAG = '"abc"'


@pytest.mark.parametrize(
    ("text", "expected", "content_range"),
    [
        ("bytes=0-0", Selection(206, 0, 1), "bytes 0-0/11"),
        ("bytes=6-", Selection(206, 6, 11), "bytes 6-10/11"),
        ("bytes=2-4", Selection(206, 2, 5), "bytes 2-4/11"),
        ("bytes=2-4000", Selection(206, 2, 11), "bytes 2-10/11"),
        ("bytes=-3", Selection(206, 8, 11), "bytes 8-10/11"),
        ("bytes=-3000", Selection(206, 0, 11), "bytes 0-10/11"),
        (" bytes = 1 - 2 ", Selection(206, 1, 3), "bytes 1-2/11"),
        ("bytes=11-", Selection(206, 11, 11), "bytes */11"),
        ("bytes=999-1000", Selection(206, 11, 11), "bytes */11"),
        (f"bytes={'9' * 60}-", Selection(206, 11, 11), "bytes */11"),
        ("bytes=-0", Selection(206, 11, 11), "bytes */11"),
    ],
)
def test_a_range_selects_its_bytes(text: str, expected: Selection, content_range: str) -> None:
    selection = select({"range": text}, 11, TAG)
    assert selection == expected
    assert selection.content_range(11) == content_range


@pytest.mark.parametrize(
    "text", ["bytes=-", "bytes=4-2", "bytes=0-1,4-5", "bytes=a-b", "items=0-1", "0-1", "", "bytes=--1"]
)
def test_a_range_that_means_nothing_here_gets_the_whole_object(text: str) -> None:
    assert select({"range": text}, 11, TAG) == Selection(200, 0, 11)


def test_an_empty_object_has_no_range() -> None:
    for text in ("bytes=0-", "bytes=0-0", "bytes=-5"):
        selection = select({"range": text}, 0, TAG)
        assert (selection.status, selection.content_range(0)) == (206, "bytes */0")
    assert select({}, 0, TAG) == Selection(200, 0, 0)


@pytest.mark.parametrize("text", ['"abc"', 'W/"abc"', '"x", "abc"', '"x",W/"abc"', "*"])
def test_who_has_the_object_already_is_told_so(text: str) -> None:
    assert select({"if-none-match": text, "range": "bytes=1-2"}, 11, TAG).status == 304


@pytest.mark.parametrize("text", ['"abcd"', "", "abc", '"x", "y"'])
def test_who_has_another_object_gets_this_one(text: str) -> None:
    assert select({"if-none-match": text}, 11, TAG) == Selection(200, 0, 11)


def test_an_interrupted_download_goes_on_only_if_the_object_is_the_same() -> None:
    assert select({"range": "bytes=6-", "if-range": TAG}, 11, TAG) == Selection(206, 6, 11)
    assert select({"range": "bytes=6-", "if-range": '"old"'}, 11, TAG) == Selection(200, 0, 11)
    assert select({"range": "bytes=6-", "if-range": "Sat, 29 Oct 1994 19:43:31 GMT"}, 11, TAG) == Selection(200, 0, 11)


def test_without_a_tag_nothing_is_conditional() -> None:
    assert select({"if-none-match": "*"}, 11, None) == Selection(200, 0, 11)
    assert select({"range": "bytes=6-"}, 11, None) == Selection(206, 6, 11)
