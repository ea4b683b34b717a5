from __future__ import annotations

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.errors import Problem
from capstan.files.entry_names import check_apart, check_name, decode_name

NAMES = st.text(
    alphabet=st.one_of(
        st.sampled_from("./\\:\0\nCaß\u0301"), st.characters(exclude_categories=["Cs"], max_codepoint=0x2FFF)
    ),
    max_size=30,
)


def code_of(name: str) -> str | None:
    try:
        check_name(name)
    except Problem as problem:
        return problem.code
    return None


@settings(max_examples=300)
@given(NAMES)
def test_an_accepted_name_stays_in_its_folder_on_every_system(name: str) -> None:
    if code_of(name) is not None:
        return
    for system in (PurePosixPath, PureWindowsPath):
        path = system("/bundle") / system(name)
        assert path.is_relative_to("/bundle")
        assert ".." not in path.parts
        assert path != system("/bundle")
    assert "\0" not in name


@pytest.mark.parametrize("name", ["index.html", "a/b/c.js", "a/", "with blank/ä.js", "a..b", "...", "100%.js", "ab:c"])
def test_ordinary_names_are_accepted(name: str) -> None:
    assert code_of(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "/etc/passwd",
        "//host/share",
        "../up",
        "a/../../up",
        "a/..",
        "..",
        "./a",
        "a//b",
        "a\\b",
        "..\\up",
        "C:/windows",
        "c:file",
        "a\0.js",
        "a\nb",
        "a\x7f",
    ],
)
def test_names_that_leave_the_folder_or_are_none_are_refused(name: str) -> None:
    assert code_of(name) == "zip_path_unsafe"


@pytest.mark.parametrize("name", ["x" * 256, "ä" * 128, "/".join(["x" * 200] * 6)])
def test_names_that_no_device_can_store_are_refused(name: str) -> None:
    assert code_of(name) == "zip_path_too_long"


@pytest.mark.parametrize(
    "names",
    [
        ["a.js", "a.js"],
        ["a.js", "A.js"],
        ["Stra\u00dfe.js", "strasse.js"],
        ["\u00e9.js", "e\u0301.js"],
        ["a", "a/b.js"],
        ["a/b.js", "A"],
        ["a", "a/"],
        ["x/y/z/", "x/Y"],
    ],
)
def test_names_that_meet_on_some_device_are_refused_in_any_order(names: list[str]) -> None:
    for order in (names, names[::-1]):
        with pytest.raises(Problem) as refusal:
            check_apart(order)
        assert refusal.value.code == "zip_name_collision"


def test_names_that_share_only_folders_stay_apart() -> None:
    check_apart(["a/b.js", "A/c.js", "a/", "a/", "b"])


def test_only_names_marked_as_utf8_may_leave_ascii() -> None:
    assert decode_name("ä.js".encode(), marked_utf8=True) == "ä.js"
    assert decode_name(b"a.js", marked_utf8=False) == "a.js"
    for raw, marked in (("ä.js".encode(), False), (b"\xe4.js", True), (b"\x84.js", False)):
        with pytest.raises(Problem) as refusal:
            decode_name(raw, marked_utf8=marked)
        assert refusal.value.code == "zip_name_not_utf8"
