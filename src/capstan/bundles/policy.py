"""What a bundle must be before it may be stored: its name, and its organization's demand of encryption.

Rules over values, for every way in which a bundle is made (contract: public 7.4, 16.3).
"""

from __future__ import annotations

from dataclasses import dataclass

from capstan.errors import Problem
from capstan.updates.semver_policy import parse_semver

MAX_KEY_ID = 20
_KEY_PREFIX_SHOWN = 4


@dataclass(frozen=True, slots=True)
class EncryptionPolicy:
    """What an organization demands. `required_key` is 20 or 21 characters of the public key, or None for any key."""

    enforced: bool
    required_key: str | None


def check_version_name(version: str) -> None:
    """Refuse what is not strict semver without a leading `v` (contract: public 2.3). Raises `invalid_version_format`.

    This keeps out `builtin` and `unknown`, the reserved names, and everything that a key of an object cannot hold.
    """
    semver = parse_semver(version)
    if semver is None or semver.text != version:
        raise Problem(
            "invalid_version_format",
            "A version is three numbers such as 1.2.3, perhaps with a pre-release or build part, and no leading v",
            more={"version": version},
        )


def check_encryption(policy: EncryptionPolicy, *, session_key: str | None, key_id: str | None) -> None:
    """Refuse a bundle that is not encrypted as its organization demands (contract: public 16.3)."""
    if not policy.enforced:
        return
    if not (session_key or "").strip():
        raise Problem("encryption_required", "This organization accepts only encrypted bundles")
    required = policy.required_key
    if not required:
        return
    if not key_id:
        raise Problem("encryption_key_required", "This organization asks for the id of the key of the encryption")
    if key_id != required[:MAX_KEY_ID] and key_id[: len(required)] != required:
        raise Problem(
            "encryption_key_mismatch",
            "The bundle is encrypted with another key than this organization's",
            more={"expected_key_prefix": f"{required[:_KEY_PREFIX_SHOWN]}..."},
        )
