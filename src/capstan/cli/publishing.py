"""Sending a web build to a server, and hearing how far it is: what `capstan bundle upload` and the demo share."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any, BinaryIO

from capstan.cli.client import Client, ServerRefused
from capstan.cli.failures import Failure
from capstan.cli.web_build import WebBuild

Watch = Callable[[str, int, int], None]
"""Hears of each stage how many of its units are done, of how many; bytes, or the one step of `publishing`."""

_PATH = "/capstan/bundle/upload"
_CHUNK = 1 << 18


def publish(client: Client, build: WebBuild, release: Mapping[str, str], watch: Watch) -> dict[str, Any]:
    """Upload a build as the release that `release` says (app_id, version, channel …); what the server answered.

    Ends the command where the build cannot be read or the server refuses.
    """
    _refuse_known(client, release)
    with tempfile.TemporaryFile() as packed:
        try:
            build.write_zip(packed)
        except OSError as fault:
            raise Failure(f"{fault.filename or build.path} cannot be read: {fault.strerror}.") from None
        length = packed.tell()
        packed.seek(0)
        try:
            with client.upload(_PATH, release, _watched(packed, length, watch), length) as told:
                return _outcome(told, watch)
        except ServerRefused as refused:
            if refused.code != "version_already_exists":
                raise
            # One that was deleted, or was published meanwhile.
            raise _version_taken(release, "had") from None


def _refuse_known(client: Client, release: Mapping[str, str]) -> None:
    """Notice a version that exists before any byte of it is sent; the server has the last word."""
    try:
        known = client.get("/bundle", app_id=release["app_id"], version=release["version"])
    except ServerRefused:
        # A key that may upload but not read.
        return
    if known:
        raise _version_taken(release, "has")


def _version_taken(release: Mapping[str, str], has: str) -> Failure:
    return Failure(
        f"{release['app_id']} {has} a bundle {release['version']} already; raise the version in package.json, or give "
        "another with --version."
    )


def _watched(packed: BinaryIO, length: int, watch: Watch) -> Iterator[bytes]:
    sent = 0
    while chunk := packed.read(_CHUNK):
        yield chunk
        sent += len(chunk)
        watch("sending", sent, length)


def _outcome(told: Iterator[dict[str, Any]], watch: Watch) -> dict[str, Any]:
    for value in told:
        if "stage" not in value:
            return value
        watch(value["stage"], value["done"], value["total"])
    raise Failure("The server broke off before the bundle was published; try again.")
