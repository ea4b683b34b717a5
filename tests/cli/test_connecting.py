"""Which server a command talks to, with which key, and what it says when that does not work."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.cli.conftest import RunningServer
from tests.cli.terminal import Typist


def config(typist: Typist) -> Path:
    return Path(typist.environment["XDG_CONFIG_HOME"]) / "capstan" / "config.toml"


def test_a_login_is_remembered_by_its_owner_only(anybody: Typist, server: RunningServer) -> None:
    said = anybody.succeed("login", "--server", f"{server.url}/", stdin=f"{server.key}\n").out
    assert said.startswith(f"Logged in to {server.url} for My organization")
    assert server.key not in said
    assert stat.S_IMODE(config(anybody).stat().st_mode) == 0o600
    assert anybody.type("app", "list").code == 0


def test_a_key_that_does_not_work_is_not_remembered(anybody: Typist, server: RunningServer) -> None:
    refused = anybody.type("login", "--server", server.url, "--key", "wrong")
    assert (refused.code, refused.sentence) == (1, "Invalid apikey (invalid_apikey).")
    assert not config(anybody).exists()


def test_a_remembered_key_is_never_sent_to_another_server(anybody: Typist, server: RunningServer) -> None:
    anybody.succeed("login", "--server", server.url, "--key", server.key)
    refused = anybody.type("app", "list", "--server", "http://127.0.0.1:1")
    assert refused.code == 2
    assert "There is no API key for http://127.0.0.1:1" in refused.sentence


def test_flags_come_before_the_environment_and_that_before_the_login(anybody: Typist, server: RunningServer) -> None:
    anybody.succeed("login", "--server", server.url, "--key", server.key)
    assert anybody.type("app", "list", CAPSTAN_API_KEY="wrong").code == 1
    assert anybody.type("app", "list", "--key", server.key, CAPSTAN_API_KEY="wrong").code == 0


def test_without_any_server_the_sentence_says_where_to_name_one(anybody: Typist) -> None:
    refused = anybody.type("app", "list")
    assert refused.code == 2
    assert "Set CAPSTAN_SERVER and CAPSTAN_API_KEY" in refused.sentence


def test_a_server_that_is_not_there_has_its_own_exit_code(anybody: Typist) -> None:
    refused = anybody.type("app", "list", "--server", "http://127.0.0.1:1", "--key", "any")
    assert (refused.code, refused.sentence) == (
        3,
        "The server http://127.0.0.1:1 cannot be reached: Connection refused.",
    )


@pytest.mark.parametrize("address", ["updates.example.org", "ftp://example.org", "http://", "http://a:0", "http://a?b"])
def test_what_is_no_address_is_refused_as_one(anybody: Typist, address: str) -> None:
    refused = anybody.type("app", "list", "--server", address, "--key", "any")
    assert refused.code == 2
    assert "is not the address of a server" in refused.sentence


def test_what_is_no_capstan_is_told_from_one(anybody: Typist, server: RunningServer) -> None:
    refused = anybody.type("app", "list", "--server", f"{server.url}/console-of-something", "--key", "any")
    assert refused.code == 1
    assert "not_found" in refused.sentence


def test_the_server_says_who_may_not(typist: Typist) -> None:
    refused = typist.type("bundle", "list", "--app", "com.example.of.others")
    assert (refused.code, refused.sentence) == (1, "You can't access this app (cannot_get_bundle).")
    refused = typist.type("probe", "--app", "com.example.of.others")
    assert (refused.code, refused.sentence) == (1, "You can't access this app (cannot_access_app).")
