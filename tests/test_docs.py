"""The documentation says what the code says: every setting, every error code, and examples that work."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from capstan import docs
from capstan.errors import ERRORS
from capstan.settings import SETTINGS, load
from capstan.updates import rules

DOCS = Path(__file__).parent.parent / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", docs.MADE)
def test_the_made_part_of_a_page_is_up_to_date(name: str) -> None:
    current = page(name)
    assert docs.renewed(current, docs.MADE[name]()) == current, "renew the pages with: python -m capstan.docs"


def test_every_setting_is_documented_with_its_variable() -> None:
    text = page("settings.md")
    assert [one.name for one in SETTINGS if f"| `{one.name}`<br>`{one.variable}` |" not in text] == []


def test_every_error_code_is_documented() -> None:
    text = page("errors.md")
    assert [code for code in ERRORS if f"| `{code}` | {ERRORS[code]} |" not in text] == []


def test_the_examples_of_the_settings_page_are_accepted_together(tmp_path: Path) -> None:
    text = page("settings.md")
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (shell,) = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    (tmp_path / "capstan.toml").write_text(toml, encoding="utf-8")
    environ = dict(line.split("=", 1) for line in shell.splitlines())
    settings = load({"config": str(tmp_path / "capstan.toml")}, environ)
    assert settings.workers == 4
    assert len(settings.secret_key) == 1


def test_renewing_replaces_only_what_is_between_the_markers(tmp_path: Path) -> None:
    for name in docs.MADE:
        shutil.copy(DOCS / name, tmp_path / name)
    spoiled = tmp_path / "errors.md"
    spoiled.write_text(docs.renewed(page("errors.md"), "stale\n"), encoding="utf-8")
    assert "stale" in spoiled.read_text(encoding="utf-8")
    docs.main([str(tmp_path)])
    assert spoiled.read_text(encoding="utf-8") == docs.renewed(page("errors.md"), docs.render_errors())


def test_a_page_without_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="markers"):
        docs.renewed("# A page\n", "made\n")


def test_every_end_of_an_update_check_has_its_code_in_the_table() -> None:
    outcomes = [value for value in vars(rules).values() if isinstance(value, rules.Outcome)]
    outcomes += [one for value in vars(rules).values() if isinstance(value, dict) for one in value.values()]
    codes = {outcome.code for outcome in outcomes if isinstance(outcome, rules.Outcome) and outcome.code is not None}
    assert len(codes) > 20
    assert codes <= ERRORS.keys()
