"""Which of the endpoints for files a request is for: downloads, resumable uploads, uploads by a signed link.

Each is reached below `/files`, below its older alias `/private/files`, and both again below `/functions/v1`, where the
command line looks for everything when it is told so (contract: device 4, cli 1.1).
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.types import ASGIApp, Receive, Scope, Send

from capstan.web.router import FUNCTIONS_PREFIX

_READ = "/files/read/attachments/"
_UPLOAD = "/files/upload/attachments"
_SIGNED = "/files/upload/signed/"


@dataclass(frozen=True)
class FilePlane:
    """Hands requests on. Only what it `serves` is asked of it."""

    downloads: ASGIApp
    resumable_uploads: ASGIApp
    signed_uploads: ASGIApp

    def serves(self, method: str, path: str) -> bool:
        """Whether this is a request for a file. Preflights are, too, where they tell more than on other paths."""
        found = self._find(path)
        return found is not None and (method != "OPTIONS" or found is self.resumable_uploads)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._find(scope["path"])
        assert found is not None, "asked for what it does not serve"
        await found(scope, receive, send)

    def _find(self, path: str) -> ASGIApp | None:
        path = path.removeprefix(FUNCTIONS_PREFIX).removeprefix("/private")
        if path.startswith(_READ):
            return self.downloads
        if path == _UPLOAD or path.startswith(f"{_UPLOAD}/"):
            return self.resumable_uploads
        return self.signed_uploads if path.startswith(_SIGNED) else None
