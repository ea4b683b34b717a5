"""Versions as the protocol reads them (contract: device 0.4), and what plugin releases can do (1.4, 1.9, 2.4, 3.2)."""

from __future__ import annotations

import pytest
import semver
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.updates.semver_policy import fix_semver, is_plain, native_version, parse_semver, plugin_features

LARGEST = 2**53 - 1

numbers = st.integers(0, 12)
identifiers = st.one_of(numbers.map(str), st.from_regex(r"[0-9]?[a-zA-Z-][0-9a-zA-Z-]{0,3}", fullmatch=True))
pre_releases = st.one_of(
    st.just(""), st.lists(identifiers, min_size=1, max_size=3).map(lambda ids: "-" + ".".join(ids))
)
builds = st.sampled_from(["", "+7", "+build.01", "+a-b"])
versions = st.builds("{}.{}.{}{}{}".format, numbers, numbers, numbers, pre_releases, builds)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("1.2.3", "1.2.3"),
        (" v1.2.3\n", "1.2.3"),
        ("\ufeff1.2.3\u00a0", "1.2.3"),
        ("1.2.3-rc.1+build.007", "1.2.3-rc.1+build.007"),
        ("1.0.0-0a", "1.0.0-0a"),
        (f"{LARGEST}.0.0", f"{LARGEST}.0.0"),
        ("1.2.3-" + "a" * 250, "1.2.3-" + "a" * 250),
    ],
)
def test_a_version_is_read_without_blanks_and_leading_v(text: str, canonical: str) -> None:
    parsed = parse_semver(text)
    assert parsed is not None
    assert parsed.text == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.2.3-",
        "1.2.3-01",
        "1.2.3-a..b",
        "1.2.3+",
        "1.2.3+a+b",
        "vv1.2.3",
        "V1.2.3",
        "v 1.2.3",
        "1.2.3\n1",
        "1.2.٣",
        "1.2.3-é",
        f"{LARGEST + 1}.0.0",
        "1.2.3-" + "a" * 251,
    ],
)
def test_what_is_no_version_is_not_read(text: str) -> None:
    assert parse_semver(text) is None


@given(versions, versions)
@settings(max_examples=300, deadline=None)
def test_versions_are_ordered_as_semver_says(left: str, right: str) -> None:
    ours, theirs = parse_semver(left), parse_semver(right)
    assert ours is not None
    assert theirs is not None
    compared = (ours.order > theirs.order) - (ours.order < theirs.order)
    assert compared == semver.Version.parse(left).compare(right)


@given(st.text(max_size=12))
@settings(max_examples=200, deadline=None)
def test_any_text_is_answered(text: str) -> None:
    parse_semver(text)
    plugin_features(text)
    repaired = native_version(text)
    if repaired is not None and repaired.semver is not None:
        assert native_version(repaired.text) == repaired


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("builtin", "0.0.0"),
        ("unknown", "0.0.0"),
        ("3", "3.0.0"),
        ("3.1", "3.1.0"),
        ("3.1.2", "3.1.2"),
        ("3-rc.1", "3-rc.1.0"),
        ("", ".0.0"),
    ],
)
def test_short_versions_are_lengthened_by_counting_dots(text: str, fixed: str) -> None:
    assert fix_semver(text) == fixed


def test_a_plain_version_must_be_the_whole_text() -> None:
    assert is_plain("1.2.3")
    assert not is_plain("1.2.3\n")
    assert not is_plain("v1.2.3")
    assert not is_plain("1.2.3-rc")


@pytest.mark.parametrize(
    ("raw", "repaired"),
    [
        ("v2.0", "2.0.0"),
        ("2", "2.0.0"),
        (" 1.0.0 ", "1.0.0"),
        ("builtin", "0.0.0"),
        ("1.0.0-alpha.2", "1.0.0-alpha.2"),
    ],
)
def test_a_native_version_is_repaired(raw: str, repaired: str) -> None:
    native = native_version(raw)
    assert native is not None
    assert native.text == repaired


def test_a_native_version_that_overflows_keeps_its_text_and_has_no_value() -> None:
    for raw in ("99999999999999999999.0.0", f"{'9' * 400}.0.0"):
        native = native_version(raw)
        assert native is not None
        assert (native.text, native.semver) == (raw, None)


@pytest.mark.parametrize("raw", ["build-9", "1.0.0.0", "abc", "1.2.3 x"])
def test_a_native_version_beyond_repair_is_refused(raw: str) -> None:
    assert native_version(raw) is None


GATES = [
    (
        "deprecated",
        {"5.9.9", "6.24.9", "7.24.9", "8.0.0-rc.1"},
        {"5.10.0", "6.25.0", "7.25.0", "8.0.0", "0.0.1", "9.0.0"},
    ),
    ("unsupported", {"4.0.0", "4.17.0"}, {"3.9.9", "5.0.0", "0.0.1"}),
    (
        "manifests",
        {"5.10.0", "6.25.0", "7.0.35", "8.0.0-rc.1", "0.0.1", "9.0.0"},
        {"5.9.9", "6.24.9", "7.0.34", "7.0.35-rc.1"},
    ),
    (
        "metadata",
        {"5.35.0", "6.35.0", "7.35.0", "8.35.0", "0.0.1", "9.0.0"},
        {"5.34.9", "6.34.9", "7.34.9", "8.34.9"},
    ),
    (
        "legacy_channel_self",
        {"5.33.9", "6.33.9", "7.33.9", "8.0.0-alpha.1", "latest"},
        {"5.34.0", "6.34.0", "7.34.0", "8.0.0", "0.0.0", "4.0.0", "9.0.0"},
    ),
    ("reverts_to_builtin", {"6.2.0", "7.0.0", "8.47.0"}, {"6.1.9", "5.50.2", "0.0.1"}),
    ("checks_key", {"8.40.8", "9.0.0"}, {"8.40.7", "7.50.2", "8.40.7-rc.1"}),
    (
        "counts_download_fail",
        {"7.17.0", "8.0.0", "6.14.25", "6.50.0"},
        {"7.16.9", "6.14.24", "5.50.0", "0.0.0", "x", "v6.14.25"},
    ),
]


@pytest.mark.parametrize(("feature", "having", "lacking"), GATES, ids=[name for name, _, _ in GATES])
def test_a_plugin_feature_begins_and_ends_at_its_release(feature: str, having: set[str], lacking: set[str]) -> None:
    assert {version for version in having if not getattr(plugin_features(version), feature)} == set()
    assert {version for version in lacking if getattr(plugin_features(version), feature)} == set()


@pytest.mark.parametrize(
    ("plugin_version", "well_formed"),
    [("8.0.0", True), ("v8.0.0", True), ("8.0.0-rc.1", True), (f"{'9' * 300}.0.0", True), ("8.0", False), ("", False)],
)
def test_a_plugin_version_is_well_formed_if_it_is_three_numbers_or_semver(
    plugin_version: str, well_formed: bool
) -> None:
    assert plugin_features(plugin_version).well_formed is well_formed
