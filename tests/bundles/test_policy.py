from __future__ import annotations

import pytest

from capstan.bundles.policy import EncryptionPolicy, check_encryption, check_version_name
from capstan.errors import Problem

KEY_20 = "MIIBCgKCAQEAvXbD0001"
KEY_21 = KEY_20 + "x"


@pytest.mark.parametrize(
    "name", ["1.2.3", "0.0.0", "1.0.0-beta.1", "1.0.0+build.7", "1.0.0-a-b+c-d", f"1.0.0-{'a' * 240}"]
)
def test_semantic_versions_are_names(name: str) -> None:
    check_version_name(name)


@pytest.mark.parametrize(
    "name",
    [
        *("v1.2.3", "1.2", "1", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "latest", "builtin", "unknown"),
        *("1.2.3\n", " 1.2.3", "1.2.3 ", "1.2.3\0", "1.2.3/../4.5.6", "１.2.3", "1.2.3-ä", ""),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(Problem) as refusal:
        check_version_name(name)
    assert refusal.value.code == "invalid_version_format"


def refusal_of(policy: EncryptionPolicy, session_key: str | None, key_id: str | None) -> str | None:
    try:
        check_encryption(policy, session_key=session_key, key_id=key_id)
    except Problem as problem:
        return problem.code
    return None


def test_without_the_policy_nothing_is_asked() -> None:
    assert refusal_of(EncryptionPolicy(False, KEY_20), None, None) is None


@pytest.mark.parametrize("session_key", [None, "", "  "])
def test_the_policy_asks_for_a_session_key(session_key: str | None) -> None:
    assert refusal_of(EncryptionPolicy(True, None), session_key, KEY_20) == "encryption_required"


def test_without_a_named_key_any_key_will_do() -> None:
    assert refusal_of(EncryptionPolicy(True, None), "iv:key", None) is None


@pytest.mark.parametrize("key_id", [None, ""])
def test_a_named_key_must_be_told(key_id: str | None) -> None:
    assert refusal_of(EncryptionPolicy(True, KEY_20), "iv:key", key_id) == "encryption_key_required"


@pytest.mark.parametrize(("required", "key_id"), [(KEY_20, KEY_20), (KEY_21, KEY_20), (KEY_20, KEY_21)])
def test_the_named_key_is_compared_as_far_as_both_are_kept(required: str, key_id: str) -> None:
    assert refusal_of(EncryptionPolicy(True, required), "iv:key", key_id) is None


@pytest.mark.parametrize("key_id", ["MIIB", KEY_20[:-1] + "9", "x" + KEY_20])
def test_another_key_is_refused_with_a_hint(key_id: str) -> None:
    with pytest.raises(Problem) as refusal:
        check_encryption(EncryptionPolicy(True, KEY_20), session_key="iv:key", key_id=key_id)
    assert refusal.value.code == "encryption_key_mismatch"
    assert refusal.value.more == {"expected_key_prefix": "MIIB..."}
