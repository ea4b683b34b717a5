from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.files.keys import app_prefix, delta_key, object_name, parse_key, zip_key


def test_an_object_is_stored_under_the_sharded_hash_of_its_key() -> None:
    digest = hashlib.sha256(b"orgs/o/apps/a.b/1.0.0.zip").hexdigest()
    assert object_name("orgs/o/apps/a.b/1.0.0.zip") == f"{digest[:2]}/{digest[2:4]}/{digest[4:]}"


@settings(max_examples=50)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=2000))
def test_no_key_makes_a_name_that_a_file_system_refuses_or_that_leaves_the_store(key: str) -> None:
    parts = object_name(key).split("/")
    assert [len(part) for part in parts] == [2, 2, 60]
    assert set("".join(parts)) <= set("0123456789abcdef")


def test_a_key_names_its_organization_and_app() -> None:
    key = parse_key("orgs/o-1/apps/io.acme.notes/delta/abc/def.js.br")
    assert key is not None
    assert (key.org_id, key.app_id) == ("o-1", "io.acme.notes")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "orgs/o/apps/a",
        "orgs/o/apps/a/",
        "orgs//apps/a/x",
        "orgs/o/apps/a/../b/x",
        "orgs/o/apps/a/./x",
        "orgs/o/apps/a//x",
        "/orgs/o/apps/a/x",
        "apps/o/orgs/a/x",
        "Orgs/o/apps/a/x",
    ],
)
def test_what_is_not_below_an_app_is_no_key(key: str) -> None:
    assert parse_key(key) is None


def test_keys_of_a_bundle_lie_below_its_app() -> None:
    prefix = app_prefix("o", "a.b")
    assert zip_key(prefix, "1.2.3", "ff") == "orgs/o/apps/a.b/zip/ff/1.2.3.zip"
    assert delta_key(prefix, "0f", compressed=True) == "orgs/o/apps/a.b/delta/0f.br"
    assert delta_key(prefix, "0f", compressed=False) == "orgs/o/apps/a.b/delta/0f"
