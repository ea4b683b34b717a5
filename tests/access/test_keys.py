"""Secrets of API keys: made, found by their hash, masked, and sealed for showing again."""

from __future__ import annotations

import base64
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from capstan.access.keys import SealBroken, SecretBox, derived_key, key_hash, masked_key, mint_key

OLD, NEW = b"o" * 32, b"n" * 32
SECRET = "11111111-2222-4333-8444-555555555555"
PLACE = "apikey:one"


def test_a_minted_key_is_a_lower_case_uuid_of_version_four() -> None:
    minted = mint_key()
    assert str(uuid.UUID(minted)) == minted
    assert uuid.UUID(minted).version == 4
    assert mint_key() != minted


def test_a_key_is_made_of_the_given_randomness() -> None:
    assert mint_key(lambda count: b"\x11" * count) == "11111111-1111-4111-9111-111111111111"


def test_a_keys_hash_is_the_one_of_the_contract() -> None:
    assert key_hash(SECRET) == "cf4c4732fd3b8f8a55b60871950a2f22c893ea7afd75d2146826534e3f67cc49"


@given(st.text(alphabet=st.characters(), max_size=20))
@settings(max_examples=50, deadline=None)
def test_any_text_that_a_stranger_presents_has_a_hash(text: str) -> None:
    assert len(key_hash(text)) == 64


def test_a_mask_shows_the_beginning_of_a_plain_key_and_nothing_of_a_hashed_one() -> None:
    assert masked_key(SECRET) == "11111111…"
    assert masked_key(None) == "********"


@given(st.text(max_size=60))
@settings(max_examples=50, deadline=None)
def test_what_is_sealed_opens_at_its_place(text: str) -> None:
    box = SecretBox([NEW])
    sealed = box.seal(text, PLACE)
    assert sealed.isascii()
    assert box.open(sealed, PLACE) == text


def test_the_same_text_is_sealed_differently_each_time_and_never_shown() -> None:
    box = SecretBox([NEW])
    sealed = {box.seal(SECRET, PLACE) for _ in range(3)}
    assert len(sealed) == 3
    assert not any(SECRET[:8] in text for text in sealed)


def test_a_seal_moved_to_another_place_does_not_open() -> None:
    box = SecretBox([NEW])
    with pytest.raises(SealBroken):
        box.open(box.seal(SECRET, PLACE), "apikey:two")


def test_a_seal_with_any_bit_changed_does_not_open() -> None:
    box = SecretBox([NEW])
    version, body = box.seal("x", PLACE).split(".")
    raw = base64.urlsafe_b64decode(body)
    for position in range(len(raw)):
        changed = bytearray(raw)
        changed[position] ^= 1
        with pytest.raises(SealBroken):
            box.open(f"{version}.{base64.urlsafe_b64encode(changed).decode()}", PLACE)


@pytest.mark.parametrize("text", ["", "v1", "v1.", "v1.AAAA", "v1.!!!!", "v1.é", "v2.AAAA", SECRET])
def test_what_is_not_a_seal_does_not_open(text: str) -> None:
    with pytest.raises(SealBroken):
        SecretBox([NEW]).open(text, PLACE)


def test_after_a_rotation_old_seals_open_and_new_ones_need_the_new_key() -> None:
    before, during, after = SecretBox([OLD]), SecretBox([NEW, OLD]), SecretBox([NEW])
    old_seal = before.seal(SECRET, PLACE)
    assert during.open(old_seal, PLACE) == SECRET
    new_seal = during.seal(SECRET, PLACE)
    assert after.open(new_seal, PLACE) == SECRET
    with pytest.raises(SealBroken):
        before.open(new_seal, PLACE)
    with pytest.raises(SealBroken):
        after.open(old_seal, PLACE)


def test_a_box_refuses_missing_and_short_secret_keys() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SecretBox([])
    with pytest.raises(ValueError, match="at least 32"):
        SecretBox([NEW, b"short"])


def test_each_purpose_gets_its_own_key_always_the_same() -> None:
    assert derived_key(NEW, "sessions") == derived_key(NEW, "sessions")
    assert len({derived_key(key, purpose) for key in (OLD, NEW) for purpose in ("sessions", "downloads")}) == 4
