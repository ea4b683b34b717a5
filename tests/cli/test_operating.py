"""Commands on the server's machine: setup, users, keys, doctor, demo, help."""

from __future__ import annotations

from pathlib import Path

import httpx

from capstan import __version__
from capstan.cli.main import main
from tests.cli.conftest import RunningServer
from tests.cli.terminal import Typist


def test_setup_works_while_a_server_runs_and_only_once(server: RunningServer, anybody: Typist) -> None:
    made = server.setup
    assert made.keys() == {
        *("organization_id", "organization", "user_id", "email", "password", "api_key", "api_key_id", "data_dir"),
    }
    assert (made["email"], made["data_dir"]) == ("owner@localhost", str(server.data_dir))
    organizations = httpx.get(f"{server.url}/organization", headers={"capgkey": server.key}).json()
    assert [one["id"] for one in organizations] == [made["organization_id"]]
    refused = anybody.type("setup", "--data-dir", server.data_dir, "--json")
    assert (refused.code, refused.out) == (1, "")
    assert "`capstan user reset-password EMAIL` gives a new password" in refused.sentence


def test_setup_before_any_server_takes_wishes(anybody: Typist) -> None:
    wishes = ("--email", "boss@example.org", "--organization", "Acme", "--password-from-stdin")
    made = anybody.succeed("setup", "--data-dir", "data", *wishes, "--json", stdin="correct horse\n").json
    assert (made["email"], made["organization"], made["password"]) == ("boss@example.org", "Acme", None)


def test_setup_for_people_says_what_to_type_next(anybody: Typist) -> None:
    said = anybody.succeed("setup", "--data-dir", "data", "--organization", "Acme").out
    assert "organization  Acme" in said
    assert "export CAPSTAN_SERVER=http://127.0.0.1:8000" in said


def test_a_lost_password_is_reset_on_the_data_directory(server: RunningServer, anybody: Typist) -> None:
    said = anybody.succeed("user", "reset-password", "OWNER@localhost", "--data-dir", server.data_dir).out
    assert said.startswith("The new password of owner@localhost is ")
    unknown = anybody.type("user", "reset-password", "who@example.org", "--data-dir", server.data_dir)
    assert (unknown.code, unknown.sentence) == (
        1,
        "There is no user who@example.org; the owner is owner@localhost.",
    )


def test_a_key_is_made_listed_and_revoked_while_the_server_runs(server: RunningServer, anybody: Typist) -> None:
    where = ("--data-dir", server.data_dir)
    made = anybody.succeed("key", "create", "--mode", "read", "--name", "CI", "--json", *where).json
    headers = {"capgkey": made["api_key"]}
    assert httpx.get(f"{server.url}/app", headers=headers).status_code == 200
    listed = {one["id"]: one for one in anybody.succeed("key", "list", "--json", *where).json}
    assert (listed[made["api_key_id"]]["name"], listed[made["api_key_id"]]["mode"]) == ("CI", "read")
    assert made["api_key"] not in anybody.succeed("key", "list", *where).out
    anybody.succeed("key", "revoke", str(made["api_key_id"]), *where)
    assert httpx.get(f"{server.url}/app", headers=headers).status_code == 401
    again = anybody.type("key", "revoke", str(made["api_key_id"]), *where)
    assert (again.code, "(api_key_not_found)" in again.sentence) == (1, True)


def test_a_key_needs_somebody_to_belong_to(anybody: Typist) -> None:
    refused = anybody.type("key", "create", "--mode", "all", "--data-dir", "data")
    assert (refused.code, "type `capstan setup`" in refused.sentence) == (1, True)


def test_doctor_finds_a_running_server_well(server: RunningServer, anybody: Typist) -> None:
    findings = anybody.succeed("doctor", "--data-dir", server.data_dir, "--public-url", server.url, "--json").json
    assert all(finding["ok"] for finding in findings)
    assert [finding["subject"] for finding in findings] == [
        *("settings", "data directory", "disk", "secret key", "registry", "telemetry", "objects", "clock", "TLS"),
        "public URL",
    ]


def test_doctor_says_what_to_do_and_changes_nothing(anybody: Typist) -> None:
    anybody.succeed("setup", "--data-dir", "data")
    (anybody.folder / "data" / "secret.key").chmod(0o644)
    (anybody.folder / "data" / "telemetry.db").write_bytes(b"not a database at all, but long enough to be looked at")
    before = tree(anybody.folder / "data")
    said = anybody.type("doctor", "--data-dir", "data", "--public-url", "http://127.0.0.1:1")
    assert said.code == 1
    wrong = [line for line in said.out.splitlines() if line.startswith("no  ")]
    assert [line.split(":")[0] for line in wrong] == ["no  secret key", "no  telemetry", "no  public URL"]
    assert "chmod 600" in wrong[0]
    assert "file is not a database" in wrong[1]
    assert tree(anybody.folder / "data") == before


def test_doctor_before_the_first_start_makes_nothing(anybody: Typist) -> None:
    said = anybody.succeed("doctor", "--data-dir", "data")
    assert "registry.db does not exist yet; the first start makes it" in said.out
    assert not (anybody.folder / "data").exists()


def test_the_demo_ends_by_itself_and_leaves_nothing(anybody: Typist) -> None:
    said = anybody.type("demo", "--devices", "6", "--seconds", "2", TMPDIR=str(anybody.folder), CAPSTAN_PORT="1")
    assert (said.code, said.err) == (0, "")
    assert "1.0.1 is published: devices fetch it at their next check." in said.out
    assert "The demo is over; nothing of it is left." in said.out
    assert list(anybody.folder.iterdir()) == []


def test_the_version_is_told_both_ways(anybody: Typist) -> None:
    assert anybody.succeed("version").out == f"{__version__}\n"
    assert anybody.succeed("--version").out == f"{__version__}\n"


def test_the_help_knows_every_command_and_the_exit_codes(anybody: Typist) -> None:
    said = anybody.succeed("--help").out
    for name in main.list_commands(main.make_context("capstan", [], resilient_parsing=True)):
        assert f"\n  {name} " in said
    assert "\n    3  cannot reach the server\n" in said


def tree(folder: Path) -> dict[str, int]:
    """Files below a folder with their sizes; what SQLite keeps beside an open database aside."""
    return {
        str(path.relative_to(folder)): path.stat().st_size
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }
