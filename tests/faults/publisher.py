"""Who releases bundles of the small world."""

from __future__ import annotations

from capstan.access.keys import SecretBox
from capstan.access.principal import SystemPrincipal
from capstan.apikeys import service as apikeys
from capstan.db.session import Registry
from tests.updates.acme import OWNER
from tests.updates.world import ORG

_BOX = SecretBox((b"a key for tests only, of 32 bytes",))


def publishing_key(registry: Registry) -> str:
    """A new API key that may do everything in the world's organization."""
    with registry.write(SystemPrincipal("test")) as session:
        return apikeys.create_with_mode(session, _BOX, user_id=OWNER, org_id=ORG, mode="all").secret
