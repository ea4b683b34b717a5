"""Nothing is lost and nothing is miscounted while many devices ask and somebody releases; on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.databases import DatabaseUrls
from tests.load.fleet import Plan
from tests.load.report import write_report
from tests.load.running import Installation, installation
from tests.load.verdict import check

SHORT = Plan(rate=250, seconds=3, devices=2_000, event_share=0.3)
LONG = Plan(rate=1_000, seconds=60, devices=100_000, event_share=0.05)
KILLED_AFTER_SECONDS = 30


@pytest.fixture
def site(database_urls: DatabaseUrls, tmp_path: Path) -> Iterator[Installation]:
    with installation(database_urls, tmp_path) as site:
        yield site


def test_no_event_is_lost_and_counters_agree_while_bundles_are_released(site: Installation) -> None:
    outcome, releases = site.bear(SHORT)
    check(site, outcome, releases)
    assert len(outcome.told) > 0.5 * SHORT.rate * SHORT.seconds * SHORT.event_share
    assert outcome.offers


@pytest.mark.long
def test_a_kill_in_the_middle_of_heavy_load_loses_nothing_that_was_answered(
    site: Installation, database_urls: DatabaseUrls
) -> None:
    outcome, releases = site.bear(LONG, killed_after=KILLED_AFTER_SECONDS)
    counted = check(site, outcome, releases)
    write_report(database_urls.kind, LONG, outcome, releases, counted)
