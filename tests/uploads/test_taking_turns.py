"""Two requests for one upload take turns, and who stopped working on one does not hold it for ever."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import httpx

from capstan.db.tables import uploads
from tests.uploads.site import KEY, Site, Uploader, wait_until


def test_a_second_client_is_asked_to_come_back(simple_site: Site, simple_uploader: Uploader) -> None:
    url = simple_uploader.begun(KEY, 10)
    with simple_uploader.half_sent(url, 0, 4, b"abc") as send_rest:
        wait_until(simple_site.is_working)
        for answer in (simple_uploader.patch(url, 0, b"xyz"), simple_uploader.create(KEY, 10)):
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["error"] == "upload_retryable"
        assert simple_uploader.offset(url) == 0
        assert send_rest(b"d").startswith(b"HTTP/1.1 204 ")
    assert simple_uploader.patch(url, 0, b"xyz").text == "incorrect upload offset"
    assert simple_uploader.patch(url, 4, b"efghij").status_code == 204
    assert simple_site.objects.read(KEY) == b"abcdefghij"


def test_who_waits_goes_on_when_the_first_is_done(simple_site: Site, simple_uploader: Uploader) -> None:
    url = simple_uploader.begun(f"{KEY}y", 6)
    answers: list[httpx.Response] = []
    second = threading.Thread(target=lambda: answers.append(simple_uploader.patch(url, 3, b"def")))
    with simple_uploader.half_sent(url, 0, 3, b"ab") as send_rest:
        wait_until(simple_site.is_working)
        second.start()
        assert send_rest(b"c").startswith(b"HTTP/1.1 204 ")
    second.join()
    assert [answer.status_code for answer in answers] == [204]
    assert simple_site.objects.read(f"{KEY}y") == b"abcdef"


def test_who_died_at_work_holds_an_upload_for_a_short_time_only(simple_site: Site, simple_uploader: Uploader) -> None:
    url = simple_uploader.begun(f"{KEY}z", 3)
    for held_until, status in ((datetime.now(UTC) + timedelta(minutes=5), 503), (datetime.now(UTC), 204)):
        simple_site.alter(uploads, {"lock_owner": "0" * 32, "lock_until": held_until})
        assert simple_uploader.patch(url, 0, b"abc").status_code == status


def test_who_lost_an_upload_cannot_finish_it(simple_site: Site, simple_uploader: Uploader) -> None:
    """A request that was taken for dead comes back: what it brings is not counted."""
    url = simple_uploader.begun(f"{KEY}w", 6)
    with simple_uploader.half_sent(url, 0, 4, b"abc") as send_rest:
        wait_until(simple_site.is_working)
        simple_site.alter(uploads, {"lock_owner": "0" * 32, "lock_until": datetime.now(UTC)})
        assert simple_uploader.patch(url, 0, b"uvw").status_code == 204
        assert send_rest(b"d").startswith(b"HTTP/1.1 503 ")
    assert simple_uploader.patch(url, 3, b"xyz").status_code == 204
    assert simple_site.objects.read(f"{KEY}w") == b"uvwxyz"


def test_pieces_that_are_gone_make_the_client_begin_anew(simple_site: Site, simple_uploader: Uploader) -> None:
    url = simple_uploader.begun(f"{KEY}v", 6)
    assert simple_uploader.patch(url, 0, b"abc").status_code == 204
    for name in [one.name for one in simple_site.objects.list_names()]:
        simple_site.objects.delete_named(name)
    answer = simple_uploader.patch(url, 3, b"def")
    assert (answer.status_code, answer.json()["error"]) == (503, "upload_retryable")
    assert simple_uploader.head(url).status_code == 404
    assert not simple_site.objects.exists(f"{KEY}v")
    assert simple_uploader.upload(f"{KEY}v", b"abcdef").status_code == 204
