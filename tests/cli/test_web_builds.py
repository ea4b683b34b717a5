"""What a folder becomes as a zip, and what a project says about itself."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest

from capstan.cli.project import Project, find_project
from capstan.cli.web_build import WebBuild, open_build
from tests.cli.terminal import write_build


def packed(folder: Path) -> bytes:
    target = io.BytesIO()
    open_build(folder).write_zip(target)
    return target.getvalue()


def names_in(content: bytes) -> list[str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.namelist()


def test_the_same_files_give_the_same_zip_whenever_they_were_written(tmp_path: Path) -> None:
    one, other = write_build(tmp_path / "one"), write_build(tmp_path / "other")
    for file in other.rglob("*.svg"):
        os.utime(file, (1_000_000_000, 1_000_000_000))
    assert packed(one) == packed(other)


def test_the_zip_holds_the_folder_content_sorted_without_what_desktops_leave(tmp_path: Path) -> None:
    build = write_build(tmp_path / "dist")
    (build / ".DS_Store").write_bytes(b"x")
    (build / "assets" / "Thumbs.db").write_bytes(b"x")
    (build / ".well-known").mkdir()
    (build / ".well-known" / "ä.txt").write_text("kept")
    names = names_in(packed(build))
    assert names == sorted(names)
    assert ".well-known/ä.txt" in names
    assert not [name for name in names if name.endswith((".DS_Store", "Thumbs.db"))]


def test_links_are_followed_but_not_in_a_circle(tmp_path: Path) -> None:
    build = write_build(tmp_path / "dist")
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "logo.svg").write_text("<svg/>")
    (build / "shared").symlink_to(shared)
    (build / "assets" / "again").symlink_to(build)
    names = names_in(packed(build))
    assert "shared/logo.svg" in names
    assert not [name for name in names if name.startswith("assets/again/")]


@pytest.mark.parametrize(
    ("name", "content", "calls"),
    [
        ("main.js", "e.notifyAppReady()", True),
        ("chunk.mjs", "notifyAppReady", True),
        ("page.html", "<script>notifyAppReady()</script>", True),
        ("main.js.map", "notifyAppReady", False),
        ("readme.txt", "notifyAppReady", False),
    ],
)
def test_the_call_is_looked_for_in_scripts_only(tmp_path: Path, name: str, content: str, calls: bool) -> None:
    (tmp_path / "index.html").write_text("")
    (tmp_path / name).write_text(content)
    assert WebBuild(tmp_path).calls_app_ready() is calls
    archive = tmp_path / "build.zip"
    archive.write_bytes(packed(tmp_path))
    assert WebBuild(archive).calls_app_ready() is calls


def test_a_zip_that_cannot_be_read_here_is_not_warned_of(tmp_path: Path) -> None:
    (tmp_path / "encrypted.zip").write_bytes(b"what only devices can read")
    assert WebBuild(tmp_path / "encrypted.zip").calls_app_ready()


@pytest.mark.parametrize(
    ("name", "content", "app_id"),
    [
        ("capacitor.config.json", '{"appId": "com.example.app"}', "com.example.app"),
        (
            "capacitor.config.json",
            '{"appId": "com.example.app", "plugins": {"CapacitorUpdater": {"appId": "com.example.updates"}}}',
            "com.example.updates",
        ),
        (
            "capacitor.config.ts",
            "const config: CapacitorConfig = {\n  appId: 'com.example.app',\n};",
            "com.example.app",
        ),
        ("capacitor.config.ts", 'export default { "appId": "com.example.app" }', "com.example.app"),
        ("capacitor.config.js", "module.exports = { myappId: 'no', appId: `com.example.app` }", "com.example.app"),
        ("capacitor.config.ts", "const config = { appId: process.env.APP_ID }", None),
        ("capacitor.config.json", "not JSON", None),
        ("capacitor.config.json", "[]", None),
    ],
)
def test_the_app_is_found_in_the_capacitor_configuration(
    tmp_path: Path, name: str, content: str, app_id: str | None
) -> None:
    build = write_build(tmp_path / "shop" / "dist" / "browser")
    (tmp_path / "shop" / name).write_text(content)
    (tmp_path / "shop" / "package.json").write_text('{"version": "1.2.3"}')
    assert find_project(build) == Project(app_id, "1.2.3")


def test_a_package_without_a_version_is_passed_over(tmp_path: Path) -> None:
    build = write_build(tmp_path / "repository" / "app" / "dist")
    (tmp_path / "repository" / "app" / "package.json").write_text('{"private": true}')
    (tmp_path / "repository" / "package.json").write_text('{"version": "2.0.0"}')
    assert find_project(build).version == "2.0.0"
