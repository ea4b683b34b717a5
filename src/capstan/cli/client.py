"""The public API over HTTP, for commands: values in, values out, and every failure a sentence with an exit code.

The key goes in the header `capgkey`, which makes the server answer in the newer of its two shapes (contract: public
2.5). Nothing of the server is imported here: this is what anybody else's client would be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from capstan import __version__
from capstan.cli.failures import UNREACHABLE, WRONG_USAGE, Failure

_TIMEOUT = httpx.Timeout(30, connect=10)
# The server unpacks and compresses a bundle while the command waits, and says so as it goes.
_UPLOAD_TIMEOUT = httpx.Timeout(300, connect=10)
_NDJSON = "application/x-ndjson"
_PAGE_SIZE = 50
_ERRNO = re.compile(r"^\[Errno -?\d+\] ")


class ServerRefused(Failure):
    """The server answered that it will not. `code` is its error code, "" if it gave none."""

    def __init__(self, sentence: str, code: str = "") -> None:
        super().__init__(sentence)
        self.code = code


class Client:
    """One server, as whoever holds `key`. Use it in a `with` block."""

    def __init__(self, server: str, key: str, transport: httpx.BaseTransport | None = None) -> None:
        self.server = checked_server(server)
        if not (key.isascii() and key.isprintable()):
            raise Failure("An API key has only ASCII characters; this one was not copied well.", WRONG_USAGE)
        self._http = httpx.Client(
            base_url=self.server,
            headers={"capgkey": key, "user-agent": f"capstan/{__version__}"},
            timeout=_TIMEOUT,
            transport=transport,
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_error: object) -> None:
        self._http.close()

    def get(self, path: str, **query: str | int | None) -> Any:
        """The answer to a GET; members of the query that are None are left out."""
        given = {name: str(value) for name, value in query.items() if value is not None}
        return self._call("GET", path, params=given)

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a call with a JSON body."""
        return self._call(method, path, json=dict(body))

    def every(self, path: str, **query: str | int | None) -> Iterator[Any]:
        """The members of a list that comes in pages of fifty, all of them, page after page."""
        page = 0
        while True:
            members = self.get(path, page=page, **query)
            yield from members
            if len(members) < _PAGE_SIZE:
                return
            page += 1

    @contextmanager
    def upload(
        self, path: str, query: Mapping[str, str], content: Iterator[bytes], length: int
    ) -> Iterator[Iterator[Any]]:
        """Send a zip of `length` bytes; inside the block, what the server says while it works, value by value.

        A refusal, whenever it comes, ends the command.
        """
        headers = {"content-type": "application/zip", "content-length": str(length), "accept": _NDJSON}
        call = self._http.stream(
            "POST", path, params=dict(query), content=content, headers=headers, timeout=_UPLOAD_TIMEOUT
        )
        with self._faults(), call as response:
            if not response.is_success:
                response.read()
                _raise_refusal(response)
            yield (self._told(line) for line in response.iter_lines() if line.strip())

    def _told(self, line: str) -> Any:
        value = self._value(line)
        if "error" in value:
            raise refusal(value)
        return value

    def _call(self, method: str, path: str, **content: Any) -> Any:
        with self._faults():
            response = self._http.request(method, path, **content)
        if not response.is_success:
            _raise_refusal(response)
        return self._value(response.text)

    def _value(self, text: str) -> Any:
        try:
            return json.loads(text)
        except ValueError:
            raise ServerRefused(f"What answers at {self.server} is not a Capstan server.") from None

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except httpx.TimeoutException:
            raise Failure(f"The server {self.server} does not answer.", UNREACHABLE) from None
        except httpx.TransportError as fault:
            why = _ERRNO.sub("", str(fault)).rstrip(".") or "the connection broke"
            raise Failure(f"The server {self.server} cannot be reached: {why}.", UNREACHABLE) from None


def checked_server(url: str) -> str:
    """An address without a slash at the end. Ends the command for what is none."""
    text = url.strip().rstrip("/")
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or parts.query or parts.fragment:
        raise Failure(f"{url!r} is not the address of a server, such as https://updates.example.org.", WRONG_USAGE)
    return text


def refusal(envelope: Mapping[str, Any]) -> ServerRefused:
    """An error envelope as the end of a command."""
    code = str(envelope.get("error", ""))
    message = str(envelope.get("message") or code).rstrip(".")
    return ServerRefused(f"{message} ({code}).", code)


def _raise_refusal(response: httpx.Response) -> None:
    if response.has_redirect_location:
        raise ServerRefused(f"The server sends to {response.headers['location']}; give the address that it names.")
    try:
        envelope = response.json()
    except ValueError:
        envelope = None
    if not isinstance(envelope, dict) or "error" not in envelope:
        raise ServerRefused(f"{response.url} answered {response.status_code}, and not as a Capstan server does.")
    raise refusal(envelope)
