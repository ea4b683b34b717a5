"""Names without markup, websites in one form (contract: public 7.1, 9.3)."""

from __future__ import annotations

import pytest

from capstan.organizations.markup import without_markup
from capstan.organizations.website import normalized_website


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<b>Acme</b>", "Acme"),
        (" 3 < 5 > 2 ", "3 < 5 > 2"),
        ("<<b>script>x", "script>x"),
        ("Acme<script", "Acmescript"),
        ("a<!-- b -->c", "ac"),
        ("A & B", "A & B"),
    ],
)
def test_no_tag_is_left(text: str, plain: str) -> None:
    assert without_markup(text) == plain


@pytest.mark.parametrize(
    ("text", "website"),
    [
        ("", None),
        ("  ", None),
        ("capgo.app", "https://capgo.app/"),
        (" HTTP://Capgo.App:80/a b?q=ü#x ", "http://capgo.app/a%20b?q=%C3%BC#x"),
        ("localhost:3000/x", "https://localhost:3000/x"),
        ("https://bücher.example", "https://xn--bcher-kva.example/"),
        ("https://[::1]:8443/", "https://[::1]:8443/"),
    ],
)
def test_a_website_has_one_form(text: str, website: str | None) -> None:
    assert normalized_website(text) == website
    assert normalized_website(website or "") == website


@pytest.mark.parametrize(
    "text",
    ["javascript:alert(1)", "mailto:a@b.c", "https://u:p@x.y", "ftp://x.y", "https://", "https:///x", "https://a..b",
     "https://x y", "https://x:99999", "https://x\\@y", "https://[::1", "<b>"],
)  # fmt: skip
def test_what_is_no_website_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        normalized_website(text)
