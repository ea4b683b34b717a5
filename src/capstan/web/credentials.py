"""From headers to a principal: one resolver for every endpoint (contract: public 3.1 to 3.5, CD-4)."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from capstan.access.principal import KeyPrincipal, Principal
from capstan.db.session import ReadSession
from capstan.errors import Problem
from capstan.web.endpoint import Credentials
from capstan.web.rate_limits import WindowLimit, too_many_requests

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE | re.ASCII)
_SUB_KEY = re.compile(r"[1-9][0-9]*", re.ASCII)
_MAX_SUB_KEY = 2**53 - 1


class Authenticator(Protocol):
    """Finds principals; given by the composition root, because plumbing knows no resource."""

    def by_key(self, session: ReadSession, secret: str) -> KeyPrincipal | None:
        """The key with this secret, if it is valid now."""

    def sub_key(self, session: ReadSession, parent: KeyPrincipal, key_id: int) -> KeyPrincipal:
        """The sub-key to act as. Raises Problem `invalid_subkey`."""

    def by_session(self, session: ReadSession, token: str) -> Principal | None:
        """The user whose session this token is, if it is valid now."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, and which header said so ("authorization", "capgkey", "x-api-key" or "session")."""

    principal: Principal
    supplied_by: str


class CredentialLimits:
    """The limits on failed authentication and on each key (contract: public 6)."""

    def __init__(self, failures: int, for_each_key: int, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._failures = WindowLimit(failures, 15 * 60, clock)
        self._keys = WindowLimit(for_each_key, 60, clock)
        self._key_reason = "api_key_rate_limit_exceeded"

    def for_uploads(self) -> CredentialLimits:
        """The limits of routes that upload: ten times as many uses of a key; failures count together (device 4.2)."""
        limits = CredentialLimits(0, 10 * self._keys.limit, self._clock)
        limits._failures = self._failures
        limits._key_reason = "api_key_upload_rate_limit_exceeded"
        return limits

    def refuse_blocked(self, address: str | None) -> None:
        """Raise `too_many_requests` for an address with too many failures, before any credential is read."""
        until = self._failures.blocked_until(address) if address is not None else None
        if until is not None:
            raise too_many_requests(until, self._clock(), reason="too_many_failed_auth_attempts")

    def failed(self, address: str | None) -> None:
        """Count a failure; the block lasts from the last one."""
        if address is not None:
            self._failures.restart(address)

    def count_key(self, key_id: int) -> None:
        """Count a use of a key. Raises `too_many_requests`."""
        until = self._keys.hit(key_id)
        if until is not None:
            raise too_many_requests(until, self._clock(), reason=self._key_reason, apikey_id=key_id)


class CredentialResolver:
    """Resolves the headers of a request to an identity, in the contract's order."""

    def __init__(self, authenticator: Authenticator, limits: CredentialLimits) -> None:
        self._authenticator = authenticator
        self._limits = limits

    def resolve(
        self, session: ReadSession, headers: Mapping[str, str], style: Credentials, address: str | None
    ) -> Identity:
        """The caller. Raises Problem with the 401 or 429 that the endpoint's style asks for."""
        self._limits.refuse_blocked(address)
        try:
            identity = self._identify(session, headers, style)
            if isinstance(identity.principal, KeyPrincipal):
                self._limits.count_key(identity.principal.key_id)
                identity = self._narrow(session, identity, identity.principal, headers.get("x-limited-key-id"))
        except Problem as problem:
            if problem.status == 401:
                self._limits.failed(address)
            raise
        return identity

    def _identify(self, session: ReadSession, headers: Mapping[str, str], style: Credentials) -> Identity:
        authorization = _without_bearer(headers.get("authorization", ""))
        named = next((name for name in ("capgkey", "x-api-key") if headers.get(name)), None)
        from_authorization = self._authenticator.by_key(session, authorization) if authorization else None
        from_named = self._authenticator.by_key(session, headers[named]) if named else None
        prefers_capgkey = style is Credentials.KEY and named == "capgkey" and from_named is not None
        if from_authorization is not None and not prefers_capgkey:
            return Identity(from_authorization, "authorization")
        user = self._authenticator.by_session(session, authorization) if authorization else None
        if user is not None and not (style is Credentials.KEY and named):
            return Identity(user, "session")
        if named:
            if from_named is None:
                raise _unauthorized("invalid_apikey")
            return Identity(from_named, named)
        raise _unauthorized(_missing_or_wrong(authorization, style))

    def _narrow(self, session: ReadSession, identity: Identity, parent: KeyPrincipal, sub_key: str | None) -> Identity:
        if sub_key is None:
            return identity
        if _SUB_KEY.fullmatch(sub_key) is None or int(sub_key) > _MAX_SUB_KEY:
            raise Problem("invalid_subkey", "Invalid x-limited-key-id", status=401)
        return Identity(self._authenticator.sub_key(session, parent, int(sub_key)), identity.supplied_by)


def _missing_or_wrong(authorization: str, style: Credentials) -> str:
    if not authorization:
        return "no_key_provided" if style is Credentials.KEY else "no_jwt_apikey_or_subkey"
    looks_like_jwt = _UUID.fullmatch(authorization) is None and authorization.count(".") == 2
    return "invalid_jwt" if looks_like_jwt and style is Credentials.ANY else "invalid_apikey"


_MESSAGES = {
    "no_key_provided": "No key provided",
    "no_jwt_apikey_or_subkey": "No JWT, apikey or subkey provided",
    "invalid_apikey": "Invalid apikey",
    "invalid_jwt": "Invalid JWT",
}


def _unauthorized(code: str) -> Problem:
    return Problem(code, _MESSAGES[code], status=401)


def _without_bearer(authorization: str) -> str:
    scheme, _, rest = authorization.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else authorization.strip()
