"""Removing what nobody finished: at the server's start, and from then on as often as whoever calls it likes."""

from __future__ import annotations

from capstan.access.principal import SystemPrincipal
from capstan.db.session import Registry
from capstan.files.objects import ObjectStore
from capstan.uploads import service
from capstan.uploads.workshop import remove_parts

_ACTOR = SystemPrincipal("sweep of unfinished uploads")


def sweep_expired(registry: Registry, objects: ObjectStore) -> int:
    """Forget uploads that were not finished within 24 hours, their pieces, and used links; how many pieces there were.

    Safe beside uploads and other sweeps. Blocks.
    """
    pieces = 0
    while True:
        with registry.write(_ACTOR) as session:
            left = service.expire(session)
        if left is None:
            return pieces
        removed = remove_parts(objects, left)
        with registry.write(_ACTOR) as session:
            service.forget(session, removed)
        pieces += len(left)
