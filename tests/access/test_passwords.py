"""Passwords: hashed, checked, demanded by organizations, and invented for the first sign-in."""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import replace

import msgspec
import pytest
from argon2 import PasswordHasher

from capstan.access.passwords import (
    PasswordPolicy,
    first_password,
    hash_password,
    needs_rehash,
    verify_password,
)

STRICT = {
    "enabled": True,
    "min_length": 10,
    "require_uppercase": True,
    "require_number": True,
    "require_special": True,
}


def test_a_password_matches_its_own_hash_and_no_other() -> None:
    stored = hash_password("correct horse")
    assert stored.startswith("$argon2id$")
    assert verify_password(stored, "correct horse")
    assert not verify_password(stored, "correct horsE")
    assert hash_password("correct horse") != stored


def test_an_account_without_a_password_matches_nothing() -> None:
    assert not verify_password(None, "")
    assert not verify_password(None, "anything")


@pytest.mark.parametrize("stored", ["$2b$12$abcdefghijklmnopqrstuv", "plain", "$argon2id$v=19$broken"])
def test_a_hash_of_another_kind_matches_nothing(stored: str) -> None:
    assert not verify_password(stored, "plain")


def test_the_same_letters_match_however_the_keyboard_composes_them() -> None:
    stored = hash_password(unicodedata.normalize("NFC", "Zoë élan"))
    assert verify_password(stored, unicodedata.normalize("NFD", "Zoë élan"))


def test_only_a_hash_of_other_costs_is_to_be_made_anew() -> None:
    assert not needs_rehash(hash_password("x"))
    assert needs_rehash(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("x"))


def test_a_first_password_is_readable_and_hard_to_guess() -> None:
    password = first_password()
    assert re.fullmatch(r"(?:[a-z2-9]{5}-){3}[a-z2-9]{5}", password)
    assert not set("01ilo") & set(password)
    assert first_password() != password


def test_a_first_password_has_more_than_eighty_bits() -> None:
    choices: list[int] = []

    def counting(alphabet: str) -> str:
        assert len(set(alphabet)) == len(alphabet)
        choices.append(len(alphabet))
        return alphabet[0]

    assert first_password(counting) == "aaaaa-aaaaa-aaaaa-aaaaa"
    assert sum(map(math.log2, choices)) >= 80


@pytest.mark.parametrize(
    ("password", "unmet"),
    [
        ("Abcdefgh1!", ()),
        ("Abcdefg1!", ("min_length",)),
        ("abcdefgh1!", ("require_uppercase",)),
        ("Abcdefghi!", ("require_number",)),
        ("Abcdefghi1", ("require_special",)),
        ("Abcdefgh 1", ("require_special",)),
        ("", ("min_length", "require_uppercase", "require_number", "require_special")),
    ],
)
def test_a_policy_names_the_rules_that_a_password_does_not_meet(password: str, unmet: tuple[str, ...]) -> None:
    assert PasswordPolicy.from_config(STRICT).unmet(password) == unmet


def test_a_policy_asks_only_for_what_it_requires() -> None:
    lax = PasswordPolicy(True, 6, require_uppercase=False, require_number=False, require_special=False)
    assert lax.unmet("abcdef") == ()
    assert lax.unmet("abcde") == ("min_length",)


def test_a_policy_that_is_off_asks_for_nothing() -> None:
    assert replace(PasswordPolicy.from_config(STRICT), enabled=False).unmet("") == ()


def test_a_policy_needs_all_its_members() -> None:
    with pytest.raises(msgspec.ValidationError):
        PasswordPolicy.from_config({"enabled": True})
