"""GET /device: lists, their order, pages and filters, in both dialects (contract: public 15.1, CD-30)."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest
from sqlalchemy import text

from capstan.telemetry.tables import devices
from tests.devices.ids import numbered
from tests.public_api.plane import Caller, accepted, refused
from tests.public_api.world import APP, FIRST_MOMENT, World, epoch_ms

START = epoch_ms(FIRST_MOMENT)


def add_devices(world: World, moments: list[int]) -> None:
    """Devices numbered from 1, each last changed so many milliseconds after the first moment."""
    for number, moment in enumerate(moments, start=1):
        world.add_device(numbered(number), updated_at=START + moment)


def numbers(listed: list[dict[str, Any]]) -> list[int]:
    return [int(device["device_id"][-12:]) for device in listed]


def all_pages(caller: Caller, **query: Any) -> list[list[int]]:
    """The numbers of the devices on each page, following the cursor to the end."""
    pages: list[list[int]] = []
    cursor: dict[str, str] = {}
    while True:
        page = accepted(caller.get("/device", app_id=APP, **query, **cursor))
        pages.append(numbers(page["data"]))
        assert page["hasMore"] is ("nextCursor" in page)
        if not page["hasMore"]:
            return pages
        cursor = {"cursor": page["nextCursor"]}


# The older shape


def test_the_seed_list_is_a_bare_array_of_fifty_a_page_by_id(world: World) -> None:
    add_devices(world, [0] * 60)
    first = world.owner.get("/device", app_id=APP)
    second = world.owner.get("/device", app_id=APP, page=1)
    third = world.owner.get("/device", app_id=APP, page="2")
    assert numbers(accepted(first)) == list(range(1, 51))
    assert numbers(accepted(second)) == list(range(51, 61))
    assert accepted(third) == []
    assert [answer.headers["x-has-more"] for answer in (first, second, third)] == ["true", "false", "false"]
    assert first.headers["x-next-cursor"] == f"2026-01-01T00:00:00.000Z|{numbered(50)}"
    assert "x-next-cursor" not in second.headers
    assert accepted(first)[0]["version"] == {"id": 0, "name": "1.0.0"}


def test_the_cursor_of_a_seed_page_leads_on_in_the_modern_shape(world: World) -> None:
    add_devices(world, [0] * 60)
    cursor = world.owner.get("/device", app_id=APP).headers["x-next-cursor"]
    assert numbers(accepted(world.owner.get("/device", app_id=APP, cursor=cursor))["data"]) == list(range(51, 61))


def test_an_app_without_devices_has_an_empty_list(world: World) -> None:
    assert accepted(world.owner.get("/device", app_id=APP)) == []
    assert accepted(world.modern.get("/device", app_id=APP)) == {"data": [], "hasMore": False}


def test_a_page_that_is_no_number_is_refused(world: World) -> None:
    for page in ["-1", "x", "1.5", "99999999999999999999", str(2**62)]:
        assert refused(world.owner.get("/device", app_id=APP, page=page)) == (400, "invalid_body")


# Which shape


def test_what_chooses_the_shape(world: World) -> None:
    def is_seed(caller: Caller, **query: Any) -> bool:
        return isinstance(accepted(caller.get("/device", app_id=APP, **query)), list)

    bearer = world.owner.with_headers({"authorization": f"Bearer {world.secret}"})
    x_api_key = world.owner.with_headers({"x-api-key": world.secret})
    assert is_seed(world.owner)
    assert is_seed(bearer)
    assert not is_seed(world.modern)
    assert not is_seed(x_api_key)
    assert is_seed(world.modern, page=0)
    for modern_only in (
        {"limit": 5},
        {"order": "asc"},
        {"updated_at": "2026-01-01T00:00:00Z"},
        {"customIdMode": "true"},
    ):
        assert not is_seed(world.owner, **modern_only)
        assert not is_seed(world.owner, **modern_only, page=3)
    assert not is_seed(world.owner.also_sending({"capgo_api": "2026-01-19"}), page=0)
    assert is_seed(world.modern.also_sending({"capgo_api": "2026-01-18"}), limit=5)
    assert is_seed(world.owner.also_sending({"capgo_api": "nonsense"}))


# The newer shape


def test_the_modern_list_has_fifty_a_page_and_a_cursor(world: World) -> None:
    add_devices(world, [0] * 120)
    pages = all_pages(world.modern)
    assert [len(page) for page in pages] == [50, 50, 20]
    assert list(chain(*pages)) == list(range(1, 121))


def test_a_last_page_that_is_full_has_no_cursor(world: World) -> None:
    add_devices(world, [0] * 4)
    assert all_pages(world.modern, limit=2) == [[1, 2], [3, 4]]


def test_devices_come_by_the_moment_of_change_if_asked(world: World) -> None:
    add_devices(world, [30, 10, 20, 10, 30])
    assert all_pages(world.modern, order="asc", limit=2) == [[2, 4], [3, 1], [5]]
    assert all_pages(world.modern, order="desc", limit=2) == [[1, 5], [3, 2], [4]]
    assert all_pages(world.modern, order="asc", limit=1) == [[2], [4], [3], [1], [5]]
    assert all_pages(world.modern, order="desc", limit=1) == [[1], [5], [3], [2], [4]]


def test_without_an_order_only_the_cursors_device_counts(world: World) -> None:
    add_devices(world, [30, 10, 20])
    listed = accepted(world.modern.get("/device", app_id=APP, cursor=f"nonsense|{numbered(1)}"))
    assert numbers(listed["data"]) == [2, 3]


def test_a_cursor_that_was_never_given_out_is_refused(world: World) -> None:
    for cursor in ["nonsense", "2026-02-31T00:00:00.000Z|x", "|", "x|y"]:
        assert refused(world.modern.get("/device", app_id=APP, cursor=cursor, order="asc")) == (400, "invalid_body")
    assert accepted(world.modern.get("/device", app_id=APP, cursor="", order="asc"))["data"] == []


def test_only_devices_changed_later_if_asked(world: World) -> None:
    add_devices(world, [0, 1, 999, 1000])

    def since(moment: str) -> list[int]:
        return numbers(accepted(world.modern.get("/device", app_id=APP, updated_at=moment))["data"])

    assert since("2025-12-31T23:59:59Z") == [1, 2, 3, 4]
    assert since("2026-01-01T00:00:00Z") == [2, 3, 4]
    assert since("2026-01-01 00:00:00") == [2, 3, 4]
    assert since("2026-01-01T00:00:00.0Z") == [2, 3, 4]
    assert since("2026-01-01T00:00:00.001Z") == [3, 4]
    assert since("2026-01-01T00:00:00.998999999Z") == [3, 4]
    assert since("2026-01-01T00:00:01Z") == []


NO_MOMENTS = [
    "2026-02-31T00:00:00Z", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z",
    "0000-01-01T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
    "2026-01-01T00:00:00", "2026-01-01T00:00:00+00:00", "2026-01-01", "2026-01-01 00:00:00Z",
    "2026-01-01 00:00:00.5", "2026-01-01T00:00:00.Z", "2026-1-1T00:00:00Z", "2026-01-01T00:00:00Z\n",
    " 2026-01-01T00:00:00Z", "1767225600000", "now", "",
]  # fmt: skip


def test_a_moment_that_no_calendar_has_is_refused(world: World) -> None:
    for moment in NO_MOMENTS:
        assert refused(world.modern.get("/device", app_id=APP, updated_at=moment)) == (400, "invalid_updated_at")


def test_only_devices_with_a_custom_id_if_asked(world: World) -> None:
    world.add_device(numbered(1))
    world.add_device(numbered(2), custom_id="alice")

    def listed(mode: str) -> list[int]:
        return numbers(accepted(world.modern.get("/device", app_id=APP, customIdMode=mode))["data"])

    assert listed("true") == [2]
    assert listed("false") == [1, 2]
    assert refused(world.modern.get("/device", app_id=APP, customIdMode="maybe")) == (400, "invalid_body")


def test_a_limit_that_is_no_positive_integer_is_refused(world: World) -> None:
    for limit in ["0", "-1", "x", "1.5", "", "99999999999999999999999"]:
        assert refused(world.modern.get("/device", app_id=APP, limit=limit)) == (400, "invalid_limit")


def test_the_limit_is_capped_at_a_thousand(world: World) -> None:
    rows = [
        {
            "app_id": APP, "device_id": numbered(n), "version_name": f"1.0.{n}", "platform": "ios",
            "created_at": START, "updated_at": START, "last_seen_on": FIRST_MOMENT.date(),
        }
        for n in range(1, 1003)
    ]  # fmt: skip
    with world.telemetry.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        connection.execute(devices.insert(), rows)
    page = accepted(world.modern.get("/device", app_id=APP, limit=5000))
    assert len(page["data"]) == 1000
    assert page["hasMore"] is True


def test_an_unknown_order_is_refused(world: World) -> None:
    for order in ["up", "ASC", "", "1"]:
        assert refused(world.modern.get("/device", app_id=APP, order=order)) == (400, "invalid_order")


def test_parameters_of_the_wrong_type_in_a_body_have_the_same_codes(world: World) -> None:
    for members, code in (
        ({"limit": "5"}, "invalid_limit"),
        ({"limit": True}, "invalid_limit"),
        ({"limit": [5]}, "invalid_limit"),
        ({"order": 1}, "invalid_order"),
        ({"order": ["asc"]}, "invalid_order"),
        ({"order": {}}, "invalid_order"),
        ({"updated_at": 1767225600}, "invalid_updated_at"),
        ({"cursor": 5}, "invalid_body"),
        ({"customIdMode": "true"}, "invalid_body"),
        ({"page": "1"}, "invalid_body"),
    ):
        answer = world.owner.request("GET", "/device", body={"app_id": APP, **members})
        assert refused(answer) == (400, code), members
    accepted(world.owner.request("GET", "/device", body={"app_id": APP, "limit": 5.0, "order": None}))


def test_other_apps_devices_are_not_listed(world: World) -> None:
    world.add_device(numbered(1), world.add_app("com.other.app"))
    assert accepted(world.owner.get("/device", app_id=APP)) == []


@pytest.mark.parametrize("shared_databases", ["sqlite"], indirect=True)
def test_telemetry_that_cannot_be_read_has_its_own_code(world: World) -> None:
    with world.telemetry.connect().execution_options(capstan_writes=True) as connection, connection.begin():
        connection.execute(text("alter table devices rename to lost"))
    try:
        assert refused(world.owner.get("/device", app_id=APP)) == (404, "devices_not_found")
    finally:
        with world.telemetry.connect().execution_options(capstan_writes=True) as connection, connection.begin():
            connection.execute(text("alter table lost rename to devices"))
