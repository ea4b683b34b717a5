"""The kinds of value that a setting can have: what is allowed, and how text becomes the value.

Every source of settings ends up as text, so that a value means the same wherever it is written. `Kind.parse` turns
that text into the value or raises `ValueError`; `Kind.allowed` completes the sentence "allowed: …" in messages and in
the documentation; `Kind.show` is the only way a rejected value gets into a message, so a password cannot.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

T = TypeVar("T")
W = TypeVar("W", bound=str)
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SIZES = {
    "": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_HTTP_URL = re.compile(
    r"(?P<origin>https?://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)(?P<path>/[^\s?#]*)?",
    re.IGNORECASE,
)
_ANY_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?", re.IGNORECASE)
_OBJECTS_URL = re.compile(
    r"file:///[^\s?#]+|(?:s3|gs)://[A-Za-z0-9._-]+(?:/[^\s?#@]+)?|az://[a-z0-9-]+/[a-z0-9-]+(?:/[^\s?#@]+)?"
)
_CREDENTIALS = re.compile(r"://.*@", re.DOTALL)
_QUERY = re.compile(r"\?.*", re.DOTALL)
_SCHEME = re.compile(r"[a-z][a-z0-9+]*://", re.IGNORECASE)
_MAX_SHOWN = 100


class Secret:
    """A text that no representation shows: only `reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)


class LimitedApp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An app whose devices are turned away (contract: device 1.3); `ignore` is the share of requests, 0 to 1."""

    app_id: str = msgspec.field(name="id")
    ignore: Annotated[float, msgspec.Meta(ge=0, le=1)]


def show_text(text: str) -> str:
    """A value for a message: quoted, on one line, shortened, without what is secret in a URL."""
    if "://" in text:
        text = _QUERY.sub("?…", _CREDENTIALS.sub("://…@", text))
    return repr(text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…")


def show_database(text: str) -> str:
    """A SQLite URL whole; of any other only the scheme, because a password can be anywhere else."""
    if text.startswith("sqlite:"):
        return show_text(text)
    scheme = _SCHEME.match(text)
    return repr(f"{scheme.group()}…") if scheme else "a value that is not shown"


def show_nothing(_text: str) -> str:
    return "a value that is not shown"


@dataclass(frozen=True)
class Kind(Generic[T]):
    """One kind of value.

    `parse` gets text without surrounding blanks; empty text means "none" where that is allowed. `array` says that the
    TOML file may hold an array, which `parse` then gets as JSON.
    """

    allowed: str
    parse: Callable[[str], T]
    show: Callable[[str], str] = show_text
    array: bool = False


def optional(kind: Kind[T]) -> Kind[T | None]:
    """The same kind, or nothing when the text is empty."""
    return Kind(f"{kind.allowed}, or empty", lambda text: kind.parse(text) if text else None, kind.show)


def listed(item: Kind[T]) -> Kind[tuple[T, ...]]:
    """Any number of values: text with commas, or a JSON array of strings."""

    def parse(text: str) -> tuple[T, ...]:
        return tuple(item.parse(part) for part in _split(text))

    return Kind(item.allowed, parse, item.show, array=True)


def _split(text: str) -> list[str]:
    try:
        array: Any = json.loads(text) if text.startswith("[") else None
    except ValueError:
        array = None
    if isinstance(array, list) and all(isinstance(part, str) for part in array):
        return [part.strip() for part in array]
    return [part.strip() for part in text.split(",")] if text else []


def whole_number(low: int, high: int) -> Kind[int]:
    """A whole number from `low` to `high`, both included."""
    return Kind(f"a whole number from {low} to {high}", lambda text: _within(_digits(text), low, high))


def limit(high: int) -> Kind[int]:
    """The limit of a rate limiter, up to `high`; 0 switches the limiter off (contract: public 6, CD-39)."""
    return Kind(f"a whole number up to {high}, `0` for no limit", lambda text: _within(_digits(text), 0, high))


def size() -> Kind[int]:
    """A number of bytes, at least 1."""
    return Kind(
        "a number of bytes above 0, or with the unit kB, MB, GB, KiB, MiB or GiB",
        lambda text: _within(_with_unit(text, _SIZES), 1, 2**53),
    )


def duration(low: int, high: int, allowed: str) -> Kind[int]:
    """A number of seconds from `low` to `high`; `allowed` tells the range in words."""
    return Kind(
        f"{allowed}, in seconds or with the unit s, m, h or d",
        lambda text: _within(_with_unit(text, _SECONDS), low, high),
    )


def _digits(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,16}", text):
        raise ValueError("not a whole number")
    return int(text)


def _with_unit(text: str, units: dict[str, int]) -> int:
    match = re.fullmatch(r"([0-9]+) ?([A-Za-z]*)", text)
    unit = units.get(match.group(2).lower()) if match else None
    if match is None or unit is None:
        raise ValueError("not a number with a known unit")
    return _digits(match.group(1)) * unit


def _within(number: int, low: int, high: int) -> int:
    if not low <= number <= high:
        raise ValueError("out of range")
    return number


def yes_or_no() -> Kind[bool]:
    return Kind("`true` or `false`", lambda text: bool(("false", "true").index(text.lower())))


def choice(*words: W) -> Kind[W]:
    """One of a few lower-case words."""
    allowed = ", ".join(f"`{word}`" for word in words[:-1]) + f" or `{words[-1]}`"
    return Kind(allowed, lambda text: words[words.index(text.lower())])


def word(allowed: str) -> Kind[str]:
    """Text without blanks."""
    return Kind(allowed, lambda text: _matching(r"\S+", text))


def _matching(pattern: str, text: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError("not of the form")
    return text


def folder() -> Kind[Path]:
    """A folder, made absolute. `?` is refused because the URL of a SQLite file would end there."""
    return Kind("the path of a folder, without `?`", _folder)


def _folder(text: str) -> Path:
    path = Path(_matching(r"[^?\0]+", text)).absolute()
    if os.path.isfile(path):
        raise ValueError("a file")
    return path


def existing_file() -> Kind[Path]:
    return Kind("the path of an existing file", _existing_file)


def _existing_file(text: str) -> Path:
    path = Path(text).absolute()
    if not os.path.isfile(path):
        raise ValueError("no such file")
    return path


def http_origin() -> Kind[str]:
    """`http(s)://host[:port]`, lower-cased."""
    return Kind(
        "`http://` or `https://` with a host and at most a port, without a path or a slash at the end",
        lambda text: _http_url(text, with_path=False),
    )


def http_url() -> Kind[str]:
    """`http(s)://host[:port][/path]`, without a slash at the end."""
    return Kind("an `http://` or `https://` URL without user, query or fragment", lambda text: _http_url(text))


def _http_url(text: str, *, with_path: bool = True) -> str:
    match = _HTTP_URL.fullmatch(text)
    if match is None or (match["path"] and not with_path):
        raise ValueError("not such a URL")
    return _with_valid_port(match["origin"].lower()) + (match["path"] or "").rstrip("/")


def web_origin() -> Kind[str]:
    """An origin as browsers and web views send it, lower-cased; any scheme (contract: public 5)."""
    return Kind(
        "origins such as `https://console.example.org` or `myapp://localhost`, separated by commas",
        lambda text: _with_valid_port(_matching_origin(text)),
    )


def _matching_origin(text: str) -> str:
    if not _ANY_ORIGIN.fullmatch(text):
        raise ValueError("not an origin")
    return text.lower()


def _with_valid_port(url: str) -> str:
    if urlsplit(url).port == 0:  # urlsplit itself refuses ports above 65535
        raise ValueError("not a port")
    return url


def network() -> Kind[Network]:
    return Kind("IP addresses or networks such as `10.0.0.0/8`, separated by commas", ipaddress.ip_network)


def database_url() -> Kind[str]:
    """`sqlite:///file` (made absolute) or `postgresql://…` (also the spelling of it that SQLAlchemy uses)."""
    return Kind("`sqlite:///` with a file, or a `postgresql://` URL", _database_url, show_database)


def postgresql_url() -> Kind[str]:
    """`postgresql://…`, as psycopg takes it."""
    return Kind("a `postgresql://` URL", _postgresql_url, show_database)


def _database_url(text: str) -> str:
    if text.startswith("sqlite:///"):
        file = _matching(r"[^?\0]+", text.removeprefix("sqlite:///"))
        return f"sqlite:///{Path(_matching(r'(?!:memory:$).*[^/]', file)).absolute()}"
    return _postgresql_url(text)


def _postgresql_url(text: str) -> str:
    scheme, separator, rest = text.partition("://")
    if scheme not in ("postgresql", "postgresql+psycopg") or not separator or re.search(r"\s", rest):
        raise ValueError("not a PostgreSQL URL")
    return f"postgresql://{rest}"


def objects_url() -> Kind[str]:
    """`file:///folder` (percent-encoded) or a bucket with an optional prefix, without a slash at the end."""
    return Kind(
        "`file:///folder`, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://account/container/prefix`",
        _objects_url,
    )


def _objects_url(text: str) -> str:
    text = text.rstrip("/")
    if not _OBJECTS_URL.fullmatch(text):
        raise ValueError("not a place for objects")
    return text


def secret() -> Kind[Secret]:
    return Kind("ASCII characters without blanks", lambda text: Secret(_matching(r"[!-~]+", text)), show_nothing)


def secret_key(length: int) -> Kind[Secret]:
    """A key of at least `length` ASCII characters, none of them a blank or a comma."""
    return Kind(
        f"keys of at least {length} ASCII characters without blanks, separated by commas",
        lambda text: Secret(_matching(rf"[!-+\--~]{{{length},}}", text)),
        show_nothing,
    )


def limited_apps() -> Kind[tuple[LimitedApp, ...]]:
    """The operator's limit list (contract: device 1.3)."""
    return Kind(
        'a JSON array of objects like `{"id": "com.example.app", "ignore": 0.5}`, with `ignore` from 0 to 1',
        _limited_apps,
        array=True,
    )


def _limited_apps(text: str) -> tuple[LimitedApp, ...]:
    try:
        return msgspec.json.decode(text or "[]", type=tuple[LimitedApp, ...])
    except msgspec.DecodeError as wrong:
        raise ValueError("not a limit list") from wrong
