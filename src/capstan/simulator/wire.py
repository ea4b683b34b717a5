"""The device's HTTP: JSON calls and file fetches over a client given from outside, with what they cost counted.

Failures of the network are values here, not surprises: a call gives None, a fetch raises `FetchError` and leaves what
it has, so that the next one resumes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from capstan.simulator.answers import Reply
from capstan.simulator.identity import Identity, Platform


class FetchError(Exception):
    """A file could not be fetched; the text says why."""


@dataclass(slots=True)
class Traffic:
    """Requests and bytes so far. Bytes are those of downloaded files, as they crossed the wire."""

    calls: int = 0
    downloads: int = 0
    downloaded_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the device sends its calls; with an empty `stats` it sends no events (contract: device 7.1)."""

    updates: str
    stats: str
    channel_self: str

    @staticmethod
    def below(origin: str) -> Endpoints:
        """The three routes of a server, as `https://updates.example`."""
        root = origin.rstrip("/")
        return Endpoints(f"{root}/updates", f"{root}/stats", f"{root}/channel_self")


@dataclass(frozen=True, slots=True)
class FetchTerms:
    """What a client accepts as the answer to a download (contract: device 7.6)."""

    resumes: bool
    statuses: frozenset[int]
    """Statuses whose body is the whole file."""
    refused_range_is_complete: bool = False
    """416 against a partial file means that the file is complete."""

    @staticmethod
    def for_zip(platform: Platform) -> FetchTerms:
        statuses = {200, 206} if platform is Platform.IOS else {200}
        return FetchTerms(platform is not Platform.ELECTRON, frozenset(statuses))

    @staticmethod
    def for_delta(platform: Platform) -> FetchTerms:
        if platform is Platform.IOS:
            return FetchTerms(True, frozenset(range(200, 300)))
        return FetchTerms(True, frozenset({200, 206}), refused_range_is_complete=True)

    def offset(self, response: httpx.Response, have: int) -> int | None:
        """Where the body belongs in a file of which `have` bytes are here; None when nothing is missing."""
        status = response.status_code
        if have and status == 206:
            return None if response.headers.get("content-range") == f"bytes */{have}" else have
        if have and status == 416 and self.refused_range_is_complete:
            return None
        if status in self.statuses:
            return 0
        raise FetchError(f"status {status}")


class Wire:
    """Calls and fetches of one device."""

    def __init__(self, client: httpx.AsyncClient, identity: Identity) -> None:
        self.traffic = Traffic()
        self._client = client
        self._headers = {"user-agent": identity.user_agent}
        self._timeout = identity.timeout

    async def call(
        self, method: str, url: str, *, body: object = None, query: Mapping[str, str] | None = None
    ) -> Reply | None:
        """Send JSON or a query; None when the network fails."""
        content = None if body is None else msgspec.json.encode(body)
        headers = self._headers if content is None else {**self._headers, "content-type": "application/json"}
        self.traffic.calls += 1
        try:
            response = await self._client.request(
                method,
                url,
                content=content,
                params=query,
                headers=headers,
                timeout=self._timeout,
                follow_redirects=True,
            )
        except (httpx.HTTPError, httpx.InvalidURL):
            return None
        return Reply(response.status_code, response.content, dict(response.headers))

    async def fetch(
        self, url: str, part: Path, terms: FetchTerms, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Bring the file at `url` whole into `part`, going on from what `part` has when the terms allow.

        `progress` hears the bytes in the file and those expected, when the server tells. Raises FetchError.
        """
        have = part.stat().st_size if terms.resumes and part.exists() else 0
        headers = {**self._headers, "range": f"bytes={have}-"} if have else self._headers
        self.traffic.downloads += 1
        try:
            async with self._client.stream(
                "GET", url, headers=headers, timeout=self._timeout, follow_redirects=True
            ) as response:
                if response.status_code == 416 and not terms.refused_range_is_complete:
                    # What is here does not fit the file: the next attempt begins anew.
                    part.unlink(missing_ok=True)
                offset = terms.offset(response, have)
                if offset is not None:
                    await self._receive(response, part, offset, progress)
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise FetchError(f"{type(fault).__name__}: {fault}") from fault

    async def _receive(
        self, response: httpx.Response, part: Path, offset: int, progress: Callable[[int, int], None] | None
    ) -> None:
        announced = response.headers.get("content-length", "")
        expected = int(announced) if announced.isdecimal() else None
        received = 0
        with part.open("ab" if offset else "wb") as file:
            # Raw: a client that undid a content-encoding would hide that the server added one.
            async for chunk in response.aiter_raw():
                file.write(chunk)
                received += len(chunk)
                self.traffic.downloaded_bytes += len(chunk)
                if progress and expected:
                    progress(offset + received, offset + expected)
        if expected is not None and received != expected:
            raise FetchError(f"{received} of {expected} bytes came")
