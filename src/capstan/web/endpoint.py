"""One declaration for each endpoint, from which parsing, errors, documents and tests all follow (house rule).

A room's `api.py` lists its `ENDPOINTS`; a handler is a plain function of a `Call` and its input Struct. Handlers of
GET get a read session, all others a write session that the plumbing commits when they return.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Generic, Literal, TypeVar

import msgspec

from capstan.access.principal import Principal
from capstan.db.session import ReadSession, WriteSession

Session = TypeVar("Session", bound=ReadSession, covariant=True)


class Credentials(StrEnum):
    """Which of the two upstream middlewares an endpoint follows (contract: public 3.2); it decides the 401 codes."""

    KEY = "key"
    ANY = "any"
    PUBLIC = "public"


class Dialect(StrEnum):
    """The two wire formats that share the routes (contract: public 2.5)."""

    SEED = "seed"
    MODERN = "modern"


class Reader(StrEnum):
    """Where an endpoint's input comes from (contract: public 2.2, CD-1)."""

    BODY_OR_QUERY = "body_or_query"
    QUERY = "query"
    PATH = "path"
    """The path says it all; a body or query is not looked at."""


class NoInput(msgspec.Struct, frozen=True):
    """An endpoint that reads nothing but its path."""


class Done(msgspec.Struct, frozen=True):
    """The plain acknowledgement."""

    status: str = "ok"


@dataclass(frozen=True, slots=True)
class Call(Generic[Session]):
    """What a handler knows besides its input."""

    principal: Principal
    session: Session
    dialect: Dialect
    origin: str
    """Scheme and host that the client used, or the configured public URL."""
    client_address: str | None
    """Null when it is unknown, as behind an untrusted proxy or on loopback."""

    @property
    def now(self) -> datetime:
        return self.session.now


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One method and path. `errors` lists every code of its own; the plumbing's codes are implied."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    summary: str
    handler: Callable[[Any, Any], Any]
    input: type[msgspec.Struct] = NoInput
    output: Any = Done
    errors: tuple[str, ...] = ()
    permission: str | None = None
    credentials: Credentials = Credentials.KEY
    reader: Reader = Reader.BODY_OR_QUERY
    accepts_empty: bool = False
    """`{}` is legal input and meets the endpoint's own first check (contract: public 2.2, CD-1)."""
    refusal: str | None = None
    """The code for a write that the database's constraints refuse."""
    refusal_status: int = 400
    snake_case_aliases: bool = False
    """Members may also be spelled as the input Struct's attributes are (contract: public 14.2)."""
    selector: str | None = None
    """The member that asks for one object instead of a list; the list's own parameters are then unread (CD-38)."""
    list_parameters: frozenset[str] = field(default_factory=frozenset)
    modern_only: frozenset[str] = field(default_factory=frozenset)
    """Parameters that only the modern shape knows (contract: public 2.5, third row)."""
    seed_only: frozenset[str] = field(default_factory=frozenset)

    @property
    def writes(self) -> bool:
        return self.method != "GET"


ReadCall = Call[ReadSession]
WriteCall = Call[WriteSession]
