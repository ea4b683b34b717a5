"""From an empty server to devices on the second version, by commands alone."""

from __future__ import annotations

import json
import zipfile

import httpx

from tests.cli.terminal import Typist, write_build


def test_two_uploads_reach_a_device_one_after_the_other(typist: Typist, app_id: str) -> None:
    build = write_build(typist.folder / "dist")
    first = typist.succeed("bundle", "upload", build, "--app", app_id, "--version", "1.0.1", "--channel", "production")
    assert f"Published 1.0.1 of {app_id}." in first.out
    assert "It is the first one: 7 files." in first.out
    assert "The channel production offers it now, to every device that names no other." in first.out
    asked = typist.succeed("probe", "--app", app_id)
    assert "gets the bundle 1.0.1" in asked.out
    assert "  ok  1.0.1 is offered." in asked.out

    write_build(build, note="second")
    (build / "assets" / "4.svg").unlink()
    second = typist.succeed("bundle", "upload", build, "--app", app_id, "--version", "1.0.2", "--channel", "production")
    assert "Against 1.0.1: 1 changed, 0 added, 1 removed, 5 unchanged." in second.out
    assert "  ~ assets/app.js\n  - assets/4.svg\n" in second.out
    assert "A device fetches 45 bytes instead of" in second.out
    assert "gets the bundle 1.0.2" in typist.succeed("probe", "--app", app_id, "--running", "1.0.1").out

    last = typist.succeed("probe", "--app", app_id, "--running", "1.0.2")
    assert "gets no update: no_new_version_available." in last.out
    assert "  no  The device already runs 1.0.2." in last.out


def test_a_capacitor_project_says_app_and_version_itself(typist: Typist, app_id: str) -> None:
    project = typist.folder / "project"
    write_build(project / "www")
    (project / "capacitor.config.ts").write_text(f"const config = {{ appId: '{app_id}', webDir: 'www' }};")
    (project / "package.json").write_text('{"name": "shop", "version": "3.4.5"}')
    answer = typist.succeed("bundle", "upload", project / "www", "--json").json
    assert (answer["bundle"]["app_id"], answer["bundle"]["name"]) == (app_id, "3.4.5")
    again = typist.type("bundle", "upload", project / "www")
    assert again.code == 1
    assert again.sentence == (
        f"{app_id} has a bundle 3.4.5 already; raise the version in package.json, or give another with --version."
    )


def test_the_version_of_a_deleted_bundle_stays_taken(typist: Typist, app_id: str) -> None:
    build = write_build(typist.folder / "dist")
    upload = ("bundle", "upload", build, "--app", app_id, "--version", "1.0.1")
    typist.succeed(*upload)
    server, key = typist.environment["CAPSTAN_SERVER"], typist.environment["CAPSTAN_API_KEY"]
    gone = httpx.request(
        "DELETE", f"{server}/bundle", json={"app_id": app_id, "version": "1.0.1"}, headers={"capgkey": key}
    )
    assert gone.status_code == 200
    refused = typist.type(*upload)
    assert (refused.code, refused.sentence.startswith(f"{app_id} had a bundle 1.0.1 already")) == (1, True)


def test_a_zip_is_sent_as_it_is(typist: Typist, app_id: str) -> None:
    packed = typist.folder / "build.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("index.html", "<script>CapacitorUpdater.notifyAppReady()</script>")
    answer = typist.succeed("bundle", "upload", packed, "--app", app_id, "--version", "1.0.1", "--json")
    assert answer.json["bundle"]["manifest_count"] == 1
    assert answer.json["channel"] is None
    assert answer.err == ""


def test_a_bundle_that_never_says_it_is_ready_is_warned_of_but_published(typist: Typist, app_id: str) -> None:
    build = write_build(typist.folder / "dist", calls_ready=False)
    said = typist.succeed("bundle", "upload", build, "--app", app_id, "--version", "1.0.1")
    assert "no script calls notifyAppReady" in said.err
    assert "No channel offers it yet" in said.out
    quiet = typist.succeed("bundle", "upload", build, "--app", app_id, "--version", "1.0.2", "--no-check")
    assert quiet.err == ""


def test_what_the_server_finds_wrong_with_a_zip_is_one_sentence(typist: Typist, app_id: str) -> None:
    packed = typist.folder / "build.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("dist/index.html", "<script>notifyAppReady()</script>")
    refused = typist.type("bundle", "upload", packed, "--app", app_id, "--version", "1.0.1")
    assert refused.code == 1
    assert "(zip_no_index_html)" in refused.sentence
    assert typist.succeed("bundle", "list", "--app", app_id, "--json").json == []


def test_what_is_missing_is_said_before_anything_is_sent(typist: Typist) -> None:
    empty = typist.folder / "empty"
    empty.mkdir()
    for arguments, sentence in {
        ("bundle", "upload", empty, "--app", "com.example.x", "--version", "1.0.1"): "has no index.html",
        ("bundle", "upload", "nowhere", "--app", "com.example.x"): "There is no folder or zip nowhere.",
        ("bundle", "upload", write_build(typist.folder / "dist")): "Which app?",
        ("bundle", "upload", typist.folder / "dist", "--app", "com.example.x"): "Which version?",
    }.items():
        refused = typist.type(*arguments)
        assert refused.code == 2
        assert sentence in refused.sentence


def test_bundles_apps_channels_and_devices_are_listed(typist: Typist, app_id: str) -> None:
    build = write_build(typist.folder / "dist")
    upload = ("bundle", "upload", build, "--app", app_id, "--version", "1.0.1", "--channel", "beta", "--comment", "Hi")
    typist.succeed(*upload)
    assert "1.0.1" in typist.succeed("bundle", "list", "--app", app_id).out
    assert "Hi" in typist.succeed("bundle", "list", "--app", app_id).out
    assert [one["name"] for one in typist.succeed("bundle", "list", "--app", app_id, "--json").json] == ["1.0.1"]
    assert app_id in typist.succeed("app", "list").out
    assert app_id in [one["app_id"] for one in typist.succeed("app", "list", "--json").json]
    assert typist.succeed("channel", "list", "--app", app_id).out.splitlines()[1].split() == [
        *("beta", "1.0.1", "yes", "android", "ios", "electron", "major", "-"),
    ]
    assert typist.succeed("device", "list", "--app", app_id, "--json").json == []


def test_a_channel_is_set_rolled_out_and_promoted(typist: Typist, app_id: str) -> None:
    build = write_build(typist.folder / "dist")
    for version in ("1.0.1", "1.0.2"):
        typist.succeed("bundle", "upload", build, "--app", app_id, "--version", version)
    channel = ("channel", "set", "production", "--app", app_id)
    made = typist.succeed(
        *channel, "--bundle", "1.0.1", "--public", "--no-electron", "--policy", "minor", "--json"
    ).json
    assert (made["version"]["name"], made["public"], made["electron"], made["disableAutoUpdate"]) == (
        *("1.0.1", True, False, "minor"),
    )
    rollout = typist.succeed(*channel, "--rollout", "1.0.2", "--percent", "12.5").out
    assert "1.0.2 at 12.5 %" in rollout
    assert "1.0.2 at 12.5 %, paused" in typist.succeed(*channel, "--pause").out
    promoted = typist.succeed(*channel, "--promote", "--json").json
    assert (promoted["version"]["name"], promoted["rollout_version_info"]) == ("1.0.2", None)
    both = typist.type(*channel, "--promote", "--rollback")
    assert (both.code, "give one of" in both.sentence) == (2, True)
    unknown = typist.type(*channel, "--bundle", "9.9.9")
    assert (unknown.code, unknown.sentence) == (1, "Cannot find version (cannot_find_version).")


def test_probe_gives_scripts_the_question_the_answer_and_the_trace(typist: Typist, app_id: str) -> None:
    device_id = "3F2B8C1E-5A7D-4E90-9B1C-6D2F8A4E7C10"
    given = ("--device-id", device_id, "--platform", "ios", "--native", "2.1.0", "--dev", "--emulator")
    told = typist.succeed("probe", "--app", app_id, *given, "--json").json
    assert told["check"] == {
        "app_id": app_id,
        "platform": "ios",
        "version_build": "2.1.0",
        "version_name": "builtin",
        "defaultChannel": "",
        "plugin_version": "8.51.14",
        "is_prod": False,
        "is_emulator": True,
        "device_id": device_id,
    }
    assert told["status"] == 200
    assert told["answer"]["error"] == "no_channel"
    assert (told["rule"], told["channel"], told["bundle"]) == ("channel", None, None)
    assert [step["passed"] for step in told["trace"]] == [True, True, False]
    # Nothing of it is recorded.
    assert typist.succeed("device", "list", "--app", app_id, "--json").json == []


def test_probe_shows_what_a_malformed_question_is_answered(typist: Typist, app_id: str) -> None:
    told = typist.succeed("probe", "--app", app_id, "--native", "not a version")
    assert "gets no update: semver_error with status 400." in told.out
    assert json.dumps("Why:") not in told.out
