"""The pages about numbers and about personal data say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from capstan.db.tables import registry
from capstan.settings import SETTINGS
from capstan.statistics.reconciliation import COUNTERS
from capstan.telemetry.tables import telemetry
from tests.statistics.invariants import INVARIANTS

TESTS = Path(__file__).parents[1]
DOCS = TESTS.parent / "docs"

WRITTEN_AS = re.compile(r"`([a-z]+(?:_[a-z]+)+)`")


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def names(text: str) -> set[str]:
    return set(WRITTEN_AS.findall(text))


def test_every_counter_is_explained() -> None:
    text = page("statistics.md")
    assert [counter for counter in COUNTERS if f"`{counter}`" not in text] == []


def test_every_invariant_is_told_and_each_that_is_told_has_its_test() -> None:
    told = re.findall(r"^- \*\*.*?(?=\n\n|\n- |\Z)", page("statistics.md"), re.MULTILINE | re.DOTALL)
    proofs = {re.findall(r"`([a-z_]+)`", one)[-1] for one in told}
    assert len(told) == len(proofs) + 1, "one proof stands for two truths"
    assert {holds.__name__ for holds in INVARIANTS} <= proofs
    code = "".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py"))
    assert [proof for proof in proofs if f"def {proof}(" not in code] == []


def test_every_table_about_devices_is_on_the_page_about_personal_data() -> None:
    text = page("privacy.md")
    about_devices = [
        table.name
        for metadata in (telemetry, registry)
        for table in metadata.sorted_tables
        if "device_id" in table.c or table.name == "event_stamps"
    ]
    assert [name for name in about_devices if f"`{name}`" not in text] == []


def test_every_setting_that_the_pages_name_exists() -> None:
    known = {setting.name for setting in SETTINGS}
    for name in ("privacy.md", "statistics.md"):
        settings = {word for word in names(page(name)) if word.endswith("_retention") or word.startswith("keep_")}
        assert settings <= known
    assert {one for one in known if one.endswith("_retention")} <= names(page("privacy.md"))
