"""Requests about API keys that several of these tests make."""

from __future__ import annotations

from typing import Any

from tests.public_api.plane import Caller, accepted
from tests.public_api.world import ORG

ADMIN = {"role_name": "org_admin", "scope_type": "org", "org_id": ORG}
MEMBER = {"role_name": "org_member", "scope_type": "org", "org_id": ORG}


def make(caller: Caller, *bindings: dict[str, Any], name: str = "made", **members: Any) -> dict[str, Any]:
    """A new key with these bindings, an ordinary member's unless said otherwise."""
    body = {"name": name, "bindings": list(bindings) or [MEMBER], **members}
    key: dict[str, Any] = accepted(caller.post("/apikey", **body))
    return key


def make_of_mode(caller: Caller, mode: str, **members: Any) -> dict[str, Any]:
    """A new key of a mode, asked for as the founding document says: in the query."""
    answer = caller.request("POST", "/apikey", query={"org_id": ORG, "mode": mode, **members})
    key: dict[str, Any] = accepted(answer)
    return key
