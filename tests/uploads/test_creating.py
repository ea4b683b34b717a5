"""How an upload begins, with or without a body or a length, and how long it may become."""

from __future__ import annotations

import httpx

from capstan.db.tables import uploads
from tests.uploads.site import APP, CREATE, READ, ROOT, Site, Uploader, base64_text, metadata, refused


def test_an_upload_may_begin_with_its_content(simple_site: Site, simple_uploader: Uploader) -> None:
    answer = simple_uploader.create(f"{ROOT}/a", 5, body=b"whole")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "5")
    assert simple_site.objects.read(f"{ROOT}/a") == b"whole"


def test_or_with_a_part_of_it(simple_site: Site, simple_uploader: Uploader) -> None:
    answer = simple_uploader.create(f"{ROOT}/b", 5, body=b"wh")
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, "2")
    assert simple_uploader.patch(answer.headers["location"], 2, b"ole").status_code == 204
    assert simple_site.objects.read(f"{ROOT}/b") == b"whole"


def test_the_length_may_be_told_later_and_not_changed_then(simple_site: Site, simple_uploader: Uploader) -> None:
    url = simple_uploader.begun(f"{ROOT}/c", None, upload_defer_length="1")
    answer = simple_uploader.head(url)
    assert answer.headers["upload-defer-length"] == "1"
    assert "upload-length" not in answer.headers
    assert simple_uploader.patch(url, 0, b"wh").status_code == 204
    assert simple_uploader.patch(url, 2, b"ol", upload_length="5").status_code == 204
    assert simple_uploader.head(url).headers["upload-length"] == "5"
    for changed in ("6", "none"):
        answer = simple_uploader.patch(url, 4, b"e", upload_length=changed)
        assert (answer.status_code, answer.text) == (400, "upload length cannot change")
    assert simple_uploader.patch(url, 4, b"e", upload_length="5").status_code == 204
    assert simple_site.objects.read(f"{ROOT}/c") == b"whole"


def test_an_empty_file_is_complete_at_once(simple_site: Site, simple_uploader: Uploader) -> None:
    assert simple_uploader.create(f"{ROOT}/d", 0).status_code == 201
    assert simple_site.objects.read(f"{ROOT}/d") == b""


def test_a_patch_needs_a_body(simple_uploader: Uploader) -> None:
    url = simple_uploader.begun(f"{ROOT}/e", 5)
    answer = simple_uploader.patch(url, 0, b"")
    assert (answer.status_code, answer.text) == (400, "Must provide request body")


def test_a_patch_needs_an_offset(simple_uploader: Uploader) -> None:
    url = simple_uploader.begun(f"{ROOT}/f", 5)
    for offset in ("", "-1", "x", "99999999999999999999"):
        answer = simple_uploader.ask("PATCH", url, {"upload-offset": offset}, b"whole")
        assert (answer.status_code, answer.text) == (409, "incorrect upload offset")


def test_a_new_upload_replaces_an_empty_one_but_not_one_with_content(
    simple_site: Site, simple_uploader: Uploader
) -> None:
    key = f"{ROOT}/g"
    simple_uploader.begun(key, 3)
    url = simple_uploader.begun(key, 5)
    assert simple_uploader.head(url).headers["upload-length"] == "5"
    assert simple_uploader.patch(url, 0, b"wh").status_code == 204
    # Even a request that is wrong in other ways first hears of the duplicate, and ends it.
    assert refused(simple_uploader.create(key, None, content_type="text/plain")) == (409, "duplicate_upload")
    assert simple_uploader.head(url).status_code == 404
    assert simple_uploader.begun(key, 5)
    assert [row["received"] for row in simple_site.rows(uploads) if row["key"] == key] == [0]


def test_what_is_longer_than_announced_ends_the_upload(simple_site: Site, simple_uploader: Uploader) -> None:
    key = f"{ROOT}/h"
    url = simple_uploader.begun(key, 5)
    assert refused(simple_uploader.patch(url, 0, b"longer")) == (413, "unknown_error")
    assert simple_uploader.head(url).status_code == 404
    url = simple_uploader.begun(key, 5)
    chunked = iter([b"long", b"er"])
    headers = {"capgkey": simple_uploader.secret, "upload-offset": "0"}
    answer = simple_uploader.client.patch(url, content=chunked, headers=headers)
    assert refused(answer) == (413, "unknown_error")
    assert simple_uploader.head(url).status_code == 404
    assert not simple_site.objects.exists(key)


def test_a_length_above_the_limit_is_refused_once_content_comes(simple_uploader: Uploader) -> None:
    key, too_long = f"{ROOT}/i", 1073741825
    url = simple_uploader.begun(key, too_long)
    assert simple_uploader.head(url).headers["upload-length"] == str(too_long)
    assert refused(simple_uploader.patch(url, 0, b"x")) == (413, "unknown_error")
    assert simple_uploader.head(url).status_code == 404
    assert refused(simple_uploader.create(key, too_long, body=b"x")) == (413, "unknown_error")


def test_the_limit_is_a_setting(simple_site: Site) -> None:
    with simple_site.serving(max_bundle_bytes="10") as uploader:
        assert uploader.client.get("/files/config").json()["maxUploadLength"] == 10
        assert uploader.client.options(CREATE).headers["tus-max-size"] == "10"
        url = uploader.begun(f"{ROOT}/j", None, upload_defer_length="1")
        assert refused(uploader.patch(url, 0, b"eleven more")) == (413, "unknown_error")


def test_a_file_is_read_with_the_rights_of_an_upload(simple_site: Site, simple_uploader: Uploader) -> None:
    key = f"{ROOT}/k.zip"
    url = f"{CREATE}/{key}"
    assert simple_uploader.ask("GET", url).status_code == 404
    assert simple_uploader.upload(key, b"hello").status_code == 204
    answer = simple_uploader.ask("GET", url)
    assert (answer.text, answer.headers["content-type"]) == ("hello", "application/zip")
    assert answer.headers["access-control-allow-origin"] == "*"
    answer = simple_uploader.ask("HEAD", url, {"tus-resumable": ""})
    assert (answer.status_code, answer.headers["content-length"]) == (200, "5")
    assert "upload-offset" not in answer.headers
    assert simple_uploader.with_key("").ask("GET", url).status_code == 401


def test_keys_with_escapes_are_found_again_and_downloaded(simple_uploader: Uploader) -> None:
    key = f"{ROOT}/delta/{'a' * 64}_a%2Bb%402x ä#?.js"
    url = simple_uploader.begun(key, 5)
    assert url.endswith(f"/delta/{'a' * 64}_a%252Bb%25402x%20%C3%A4%23%3F.js")
    assert simple_uploader.patch(url, 0, b"found").status_code == 204
    assert simple_uploader.head(url).headers["upload-length"] == "5"
    whole = httpx.URL(url).raw_path.decode().removeprefix(f"{CREATE}/").replace("/", "%2F")
    answer = simple_uploader.client.get(f"{READ}{whole}?nocache=1", headers={"range": "bytes=0-0"})
    assert (answer.status_code, answer.content) == (206, b"f")


def test_the_long_keys_of_encrypted_files_are_stored(simple_site: Site, simple_uploader: Uploader) -> None:
    key = f"{ROOT}/delta/{'5a' * 369}/{'b' * 64}_assets/index.js.br"
    assert simple_uploader.upload(key, b"secret").status_code == 204
    assert simple_site.objects.read(key) == b"secret"


def test_a_name_that_was_encoded_twice_is_decoded_twice(simple_site: Site, simple_uploader: Uploader) -> None:
    twice = f"filename {base64_text(base64_text(f'{ROOT}/l'))}"
    answer = simple_uploader.create(f"{ROOT}/l", 1, body=b"l", upload_metadata=twice)
    assert answer.status_code == 201
    assert simple_site.objects.read(f"{ROOT}/l") == b"l"


def test_every_name_of_the_route_serves(simple_site: Site, simple_uploader: Uploader) -> None:
    for number, prefix in enumerate(("", "/private", "/functions/v1", "/functions/v1/private")):
        key = f"{ROOT}/m{number}"
        headers = {"upload-length": "1", "upload-metadata": metadata(key)}
        answer = simple_uploader.ask("POST", f"{prefix}{CREATE}/", headers)
        assert answer.status_code == 201
        location = answer.headers["location"]
        assert httpx.URL(location).path == f"{prefix}{CREATE}/{key}"
        assert simple_uploader.patch(location, 0, b"m").status_code == 204
        assert simple_uploader.client.get(f"{prefix}{READ}{key}").text == "m"
        assert simple_uploader.client.get(f"{prefix}/files/config").json()["TUSUpload"] is True


def test_the_key_may_come_in_either_header(simple_uploader: Uploader) -> None:
    headers = {"upload-length": "1", "upload-metadata": metadata(f"{ROOT}/n")}
    plain = simple_uploader.with_key("")
    assert plain.ask("POST", CREATE, {**headers, "authorization": simple_uploader.secret}).status_code == 201
    both = simple_uploader.ask("POST", CREATE, {**headers, "authorization": "Bearer something.for.others"})
    assert both.status_code == 201


def test_a_key_of_too_low_a_mode_may_not_upload(simple_site: Site, simple_uploader: Uploader) -> None:
    reader = simple_uploader.with_key(simple_site.new_key("read"))
    assert refused(reader.create(f"{ROOT}/o")) == (403, "insufficient_permissions")
    assert simple_uploader.with_key(simple_site.new_key("upload")).create(f"{ROOT}/o").status_code == 201


def test_uploads_have_ten_times_the_requests_of_other_routes(simple_site: Site) -> None:
    with simple_site.serving(rate_limit_api_key="1") as uploader:
        key = simple_site.new_key("upload")
        limited = uploader.with_key(key)
        assert [limited.head(f"{CREATE}/{ROOT}/none").status_code for _ in range(10)] == [404] * 10
        answer = limited.create(f"{ROOT}/p")
        assert refused(answer) == (429, "too_many_requests")
        assert answer.json()["moreInfo"]["reason"] == "api_key_upload_rate_limit_exceeded"
        assert 0 < int(answer.headers["retry-after"]) <= 60
        assert uploader.client.get(f"/app/{APP}", headers={"capgkey": key}).status_code == 200
