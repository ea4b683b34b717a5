"""Logs: one stream and one shape for our lines and our libraries', with the request id, without secrets."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from capstan import logs
from capstan.settings import load

PASSWORD = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def configure(**flags: str) -> None:
    environ = {"CAPSTAN_DATABASE_URL": f"postgresql://capstan:{PASSWORD}@db/capstan", "CAPSTAN_SECRET_KEY": "k" * 32}
    logs.configure(load(dict(flags), environ))


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_lines_of_ours_and_of_libraries_are_json_objects_with_the_request_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(log_format="json")
    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        structlog.get_logger("capstan.web").info("answered", status=200)
        logging.getLogger("uvicorn.error").warning("closing %s", "now")
    structlog.get_logger("capstan.web").info("later")
    ours, library, later = lines(capsys)
    assert (ours["event"], ours["status"], ours["level"]) == ("answered", 200, "info")
    assert (library["event"], library["logger"], library["level"]) == ("closing now", "uvicorn.error", "warning")
    assert ours["request_id"] == library["request_id"] == "r-1"
    assert ours["timestamp"].endswith("Z")
    assert "request_id" not in later


def test_an_exception_is_part_of_its_json_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json")
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        structlog.get_logger("capstan").exception("failed")
    (line,) = lines(capsys)
    assert "RuntimeError: broken" in line["exception"]


def test_the_level_decides_which_lines_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="json", log_level="warning")
    structlog.get_logger("capstan").info("quiet")
    logging.getLogger("alembic").info("quiet")
    structlog.get_logger("capstan").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_the_console_format_is_text_and_configuring_again_does_not_double_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(log_format="json")
    configure(log_format="console")
    structlog.get_logger("capstan.web").info("answered", status=200)
    (line,) = capsys.readouterr().err.splitlines()
    assert "answered" in line
    assert "status=200" in line
    assert not line.startswith("{")


def test_settings_in_a_log_line_show_no_secret_and_http_clients_log_no_urls(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure(log_format="json", log_level="debug")
    settings = load({}, {"CAPSTAN_SECRET_KEY": PASSWORD + "k" * 32})
    structlog.get_logger("capstan").info("started", settings=settings, keys=settings.secret_key)
    logging.getLogger("httpx").info("HTTP Request: POST https://hooks.example/%s", PASSWORD)
    assert PASSWORD not in capsys.readouterr().err
