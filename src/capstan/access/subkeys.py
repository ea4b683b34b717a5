"""Which API keys may stand in for another as a sub-key (contract: public 3.5)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime

from capstan.access.check import administered_orgs, below_organization
from capstan.access.principal import Binding


def is_limited(bindings: Iterable[Binding], user_orgs: Collection[str], now: datetime) -> bool:
    """Whether a key with these bindings can do less than its owner, who is in `user_orgs`.

    A key without any live binding is not limited: it is good for nothing. Otherwise it is when it has a binding below
    an organization, or does not administer every organization of its owner, or none at all.
    """
    live = [binding for binding in bindings if binding.is_live(now)]
    administered = administered_orgs(live, now)
    everywhere = bool(administered) and administered.issuperset(user_orgs)
    return bool(live) and (below_organization(live, now) or not everywhere)
