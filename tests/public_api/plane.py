"""The control plane without a server around it, and a caller that speaks HTTP to it in this process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
from sqlalchemy import Engine, select

from capstan.access.keys import SecretBox
from capstan.access.principal import KeyPrincipal, Principal, UserPrincipal
from capstan.apikeys import api as apikeys_api
from capstan.apikeys import service as apikeys
from capstan.apikeys.api import KeyRules
from capstan.apps import api as apps
from capstan.audit import api as audit
from capstan.bundles import api as bundles
from capstan.channels import api as channels
from capstan.db.session import ReadSession, Registry
from capstan.db.tables import users
from capstan.devices import api as devices
from capstan.devices.limits import DeviceLimits
from capstan.members import api as members
from capstan.organizations import api as organizations
from capstan.web.client import ClientAddresses
from capstan.web.credentials import CredentialLimits, CredentialResolver
from capstan.web.endpoint import Dialect
from capstan.web.origin import Origins
from capstan.web.router import ControlPlane, RouteTable

LOOPBACK = "127.0.0.1"
BOX = SecretBox((b"a key for tests only, of 32 bytes",))


class Clock:
    """Epoch seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now = 1_767_225_600.0

    def __call__(self) -> float:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds


class Authenticator:
    """Keys as they are, and session tokens that say themselves whose they are: `session.<user id>.test`."""

    def by_key(self, session: ReadSession, secret: str) -> KeyPrincipal | None:
        return apikeys.principal_of_secret(session, secret)

    def sub_key(self, session: ReadSession, parent: KeyPrincipal, key_id: int) -> KeyPrincipal:
        return apikeys.sub_key(session, parent, key_id)

    def by_session(self, session: ReadSession, token: str) -> Principal | None:
        head, _, rest = token.partition(".")
        user_id, _, tail = rest.partition(".")
        if (head, tail) != ("session", "test"):
            return None
        email = session.scalar(select(users.c.email).where(users.c.id == user_id))
        return UserPrincipal(user_id, email, apikeys.bindings_of(session, user_id)) if email is not None else None


def build_plane(
    registry: Registry,
    telemetry: Engine,
    clock: Clock,
    *,
    device_requests_a_minute: int = 0,
    refuse_identical_sets: bool = True,
    default_dialect: Dialect = Dialect.SEED,
    key_rules: KeyRules | None = None,
) -> ControlPlane:
    """All rooms over these databases."""
    limits = DeviceLimits(device_requests_a_minute, refuse_identical_sets=refuse_identical_sets, clock=clock)
    addresses = ClientAddresses(())
    return ControlPlane(
        routes=RouteTable(
            (
                *organizations.ENDPOINTS,
                *members.ENDPOINTS,
                *audit.ENDPOINTS,
                *apikeys_api.endpoints(BOX, key_rules or KeyRules()),
                *apps.ENDPOINTS,
                *bundles.ENDPOINTS,
                *channels.ENDPOINTS,
                *devices.endpoints(limits, telemetry),
            )
        ),
        registry=registry,
        credentials=CredentialResolver(Authenticator(), CredentialLimits(0, 0, clock)),
        addresses=addresses,
        origins=Origins(None, addresses),
        default_dialect=default_dialect,
        max_body_bytes=100_000,
    )


@dataclass(frozen=True)
class Caller:
    """Sends requests with the same headers from the same address. Query and body go where they are told to go."""

    plane: ControlPlane
    runner: asyncio.Runner
    headers: Mapping[str, str]
    address: str = LOOPBACK

    def with_headers(self, headers: Mapping[str, str]) -> Caller:
        """Somebody else, with these headers only."""
        return replace(self, headers=headers)

    def also_sending(self, headers: Mapping[str, str]) -> Caller:
        return replace(self, headers={**self.headers, **headers})

    def from_address(self, address: str) -> Caller:
        return replace(self, address=address)

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.request("GET", path, query=query)

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.request("POST", path, body=body)

    def delete(self, path: str, **query: Any) -> httpx.Response:
        return self.request("DELETE", path, query=query)

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        return self.runner.run(self._send(method, path, query, body, content))

    async def _send(
        self, method: str, path: str, query: Mapping[str, Any] | None, body: Any, content: bytes | None
    ) -> httpx.Response:
        transport = httpx.ASGITransport(self.plane, raise_app_exceptions=True, client=(self.address, 40_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://capstan.test", trust_env=False) as client:
            return await client.request(
                method, path, params=query or None, json=body, content=content, headers=dict(self.headers)
            )


def refused(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a refusal, whose envelope is checked (contract: public 4.1)."""
    envelope = answer.json()
    assert envelope["status"] == "KO", answer.text
    assert isinstance(envelope["message"], str)
    return answer.status_code, envelope["error"]


def accepted(answer: httpx.Response) -> Any:
    """The value of an answer that must be a 200."""
    assert answer.status_code == 200, answer.text
    return answer.json()
