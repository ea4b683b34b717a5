"""Passwords of people: hashing, an organization's demands on them, and the first one of an installation."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec
from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError

# OWASP's smaller set for argon2id. Sign-ins run on a pool of threads: 64 MiB each, the library's default, could take
# more memory than a whole worker is allowed.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)

# Letters and digits that nobody confuses when reading them off a terminal: no 0 o, no 1 i l.
_READABLE = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP_LENGTH = 4, 5

PasswordRule = Literal["min_length", "require_uppercase", "require_number", "require_special"]


def hash_password(password: str) -> str:
    """The argon2id hash to store, salt and cost included."""
    return _HASHER.hash(_typed(password))


def verify_password(password_hash: str | None, password: str) -> bool:
    """Whether `password` is the one that was hashed.

    None stands for an unknown account or one without a password: the answer is then False after the same work, so
    that time does not tell which accounts exist. A hash of another kind never matches.
    """
    try:
        _HASHER.verify(password_hash or _decoy(), _typed(password))
    except (VerificationError, InvalidHashError):
        return False
    return password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Whether a hash was made with other costs than today's; ask after a successful verification."""
    return _HASHER.check_needs_rehash(password_hash)


def first_password(choose: Callable[[str], str] = secrets.choice) -> str:
    """A random password to print once and type in: four groups of five, 99 bits (`choose` picks one character)."""
    groups = ("".join(choose(_READABLE) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    """What an organization demands of its members' passwords (contract: public 7.1, `password_policy_config`).

    `min_length` counts characters, 6 to 72.
    """

    enabled: bool
    min_length: int
    require_uppercase: bool
    require_number: bool
    require_special: bool

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> PasswordPolicy:
        """The policy as an organization's row holds it. Raises msgspec.ValidationError when a member is missing."""
        return msgspec.convert(config, cls)

    def unmet(self, password: str) -> tuple[PasswordRule, ...]:
        """The rules that `password` does not meet, none when the policy is off.

        A special character is any that is neither a letter, a digit nor blank.
        """
        if not self.enabled:
            return ()
        met: Mapping[PasswordRule, bool] = {
            "min_length": len(password) >= self.min_length,
            "require_uppercase": not self.require_uppercase or any(map(str.isupper, password)),
            "require_number": not self.require_number or any(map(str.isdecimal, password)),
            "require_special": not self.require_special or any(map(_is_special, password)),
        }
        return tuple(rule for rule, is_met in met.items() if not is_met)


def _is_special(character: str) -> bool:
    return not character.isalnum() and not character.isspace()


def _typed(password: str) -> bytes:
    # The same letters can arrive composed from one keyboard and decomposed from another.
    return unicodedata.normalize("NFKC", password).encode("utf-8", "surrogatepass")


@cache
def _decoy() -> str:
    return _HASHER.hash(secrets.token_bytes(16))
