"""The vectors F01 to F22 of contract device 8.9, in their order, on each database with each store.

They build on each other, so all of them are one test; each row says which vector it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

from capstan.db.tables import app_versions, stored_objects
from capstan.telemetry.tables import bandwidth_usage, daily_bandwidth
from tests.uploads.site import APP, CREATE, DEVICE, KEY, OTHER_ORG, READ, ROOT, Site, Uploader, metadata

TUS = "application/offset+octet-stream"
LOCATION = f"{CREATE}/{KEY}"
NEW = {"upload-length": "11", "upload-metadata": metadata(KEY)}
LAST_PART = {"upload-offset": "6", "content-type": TUS}
NO_PERMISSION = "You don't have permission to access this app"
BAD_PATH = "Invalid file path structure. Expected: orgs/{owner_org}/apps/{app_id}/..."
READY = "Bundle content cannot be changed after upload is complete. Upload a new bundle instead."


def named(key: str) -> dict[str, str]:
    return {"upload-length": "11", "upload-metadata": metadata(key)}


@dataclass(frozen=True)
class Vector:
    """A request, and what its answer must have. `json` are members of the body, `key` who asks."""

    id: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    key: str = "owner"
    status: int = 200
    json: Mapping[str, Any] | None = None
    exactly: bool = False
    text: str | None = None
    answered: Mapping[str, str] = field(default_factory=dict)


CONFIG = {
    "partialUpload": True,
    "partialUploadForced": False,
    "maxUploadLength": 1073741824,
    "maxChunkSize": 103809024,
    "alertUploadSize": 20971520,
    "TUSUpload": True,
    "TUSUploadForced": True,
}
CAPABILITIES = {
    "tus-resumable": "1.0.0",
    "tus-version": "1.0.0",
    "tus-max-size": "1073741824",
    "tus-extension": "creation,creation-defer-length,creation-with-upload,expiration",
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "POST, HEAD, PATCH, OPTIONS, DELETE",
}
NOT_FOUND = {"error": "not_found", "message": "Not found"}
UNPAID = "orgs/046a36ac-e03c-4590-9257-bd6c9dba9eea/apps/io.acme.unpaid/x.zip"

VECTORS = [
    Vector("F01", "GET", "/files/config", key="nobody", json=CONFIG, exactly=True),
    Vector("F02", "OPTIONS", CREATE, key="nobody", status=204, answered=CAPABILITIES),
    Vector("F02", "OPTIONS", LOCATION, key="nobody", status=204, answered=CAPABILITIES),
    Vector(
        "F03", "POST", CREATE, NEW, key="nobody", status=401,
        json={"error": "no_key_provided", "message": "No key provided"}, answered={"access-control-allow-origin": "*"},
    ),
    Vector(
        "F04", "POST", CREATE, NEW, key="unknown", status=401,
        json={"error": "invalid_apikey", "message": "Invalid apikey"},
    ),
    Vector("F05", "POST", CREATE, {"upload-length": "11"}, status=404, json=NOT_FOUND, exactly=True),
    Vector(
        "F06", "POST", CREATE, named("apps/io.acme.notes/x.zip"), status=400,
        json={"error": "invalid_file_path", "message": BAD_PATH},
    ),
    Vector(
        "F07", "POST", CREATE, named(f"orgs/{OTHER_ORG}/apps/{APP}/x.zip"), status=403,
        json={"error": "owner_org_mismatch"},
    ),
    Vector(
        "F08", "POST", CREATE, named(f"orgs/{OTHER_ORG}/apps/io.acme.foreign/x.zip"), status=403,
        json={"error": "insufficient_permissions", "message": NO_PERMISSION},
    ),
    Vector(
        "F08 unknown app", "POST", CREATE, named(f"orgs/{OTHER_ORG}/apps/io.acme.none/x.zip"), status=403,
        json={"error": "insufficient_permissions", "message": NO_PERMISSION},
    ),
    Vector(
        "F09", "POST", CREATE, named(f"{ROOT}/2.0.0.zip"), status=409,
        json={"error": "bundle_already_ready", "message": READY},
    ),
    Vector(
        "F10", "POST", CREATE, named(UNPAID), key="unpaid", status=429, exactly=True,
        json={"error": "on_premise_app", "message": "On-premise app detected"}, answered={"retry-after": "30"},
    ),
    Vector(
        "F11", "POST", CREATE, {"upload-metadata": metadata(KEY)}, status=400, json={"error": "missing_upload_length"}
    ),
    Vector(
        "F12", "POST", CREATE, NEW, status=201, text="",
        answered={"location": f"<origin>{LOCATION}", "upload-offset": "0", "tus-resumable": "1.0.0"},
    ),
    Vector(
        "F13", "PATCH", LOCATION, {"upload-offset": "0", "content-type": TUS}, b"hello ", status=204,
        answered={"upload-offset": "6"},
    ),
    Vector(
        "F14", "HEAD", LOCATION,
        answered={"upload-offset": "6", "upload-length": "11", "cache-control": "no-store", "tus-resumable": "1.0.0"},
    ),
    Vector(
        "F15", "PATCH", LOCATION, {"upload-offset": "0", "content-type": TUS}, b"hello ", status=409,
        text="incorrect upload offset",
    ),
    Vector("F16", "PATCH", LOCATION, LAST_PART, b"world", status=204, answered={"upload-offset": "11"}),
    Vector("F17", "HEAD", LOCATION, answered={"upload-offset": "11", "upload-length": "11"}),
    Vector("F17", "PATCH", LOCATION, LAST_PART, b"world", status=404, text="Not Found"),
    Vector(
        "F18", "GET", f"{READ}{KEY}?key=x&device_id={DEVICE}", key="nobody", text="hello world",
        answered={
            "content-type": "application/zip",
            "content-length": "11",
            "cache-control": "public, max-age=31536000, immutable, no-transform",
            "content-disposition": f'attachment; filename="{KEY}"',
        },
    ),
    Vector(
        "F19", "GET", f"{READ}{KEY}?key=x&device_id={DEVICE}", {"range": "bytes=6-"}, key="nobody", status=206,
        text="world", answered={"content-range": "bytes 6-10/11", "content-length": "5"},
    ),
    Vector(
        "F19", "GET", f"{READ}{KEY}?key=x&device_id={DEVICE}", {"range": "bytes=11-"}, key="nobody", status=206,
        text="", answered={"content-range": "bytes */11"},
    ),
    Vector("F20", "GET", f"{READ}{ROOT}/none.zip", key="nobody", status=404, json=NOT_FOUND, exactly=True),
    Vector(
        "F21 but it is there", "POST", "/files/upload_link", body={"app_id": APP, "name": "2.5.0"}, status=400,
        json={"error": "error_already_exist"},
    ),
    Vector("F21", "POST", "/files/upload_link", body={"app_id": APP, "name": "2.6.0"}, json={}),
    Vector(
        "F22", "POST", "/files/upload_link", body={"app_id": APP, "name": "2.0.0"}, status=404,
        json={"error": "error_version_not_found"},
    ),
]  # fmt: skip


def check(vector: Vector, answer: httpx.Response, origin: str) -> None:
    assert answer.status_code == vector.status, (vector.id, answer.status_code, answer.text)
    if vector.json is not None:
        body = answer.json()
        wanted = dict(vector.json)
        assert (body if vector.exactly else {name: body.get(name) for name in wanted}) == wanted, vector.id
    if vector.text is not None:
        assert answer.text == vector.text, vector.id
    for name, value in vector.answered.items():
        assert answer.headers.get(name) == value.replace("<origin>", origin), (vector.id, name)


def test_every_vector_of_the_contract_gets_its_answer(site: Site) -> None:
    site.add_bundle("2.6.0")
    secrets = {"owner": site.owner, "unpaid": site.unpaid, "unknown": "a9f0c1de-0000-4000-8000-000000000000"}
    with site.serving() as uploader:
        origin = str(uploader.client.base_url).rstrip("/")
        for vector in VECTORS:
            answer = ask(uploader, vector, secrets.get(vector.key))
            check(vector, answer, origin)
            if vector.id == "F12":
                assert answer.headers["upload-expires"].endswith("GMT")
        assert answer.headers["content-type"] == "application/json"
    (key_of_link,) = [row["r2_path"] for row in site.rows(app_versions) if row["name"] == "2.6.0"]
    assert key_of_link == f"{ROOT}/2.6.0.zip"
    # The second is expected because of its link.
    assert {row["key"]: row["size"] for row in site.rows(stored_objects)} == {KEY: 11, key_of_link: 0}
    assert site.objects.read(KEY) == b"hello world"
    assert site.object_count() == 1, "pieces stay behind"
    check_bandwidth(site)


def check_bandwidth(site: Site) -> None:
    """F18 sends 11 bytes to the device, the first F19 5, the second none."""
    (row,) = site.telemetry_rows(daily_bandwidth)
    assert (row["app_id"], row["bandwidth"], row["downloads"]) == (APP, 16, 2)
    used = site.telemetry_rows(bandwidth_usage)
    assert {row["device_id"] for row in used} == {DEVICE}
    assert (sum(row["bytes"] for row in used), sum(row["downloads"] for row in used)) == (16, 2)


def ask(uploader: Uploader, vector: Vector, secret: str | None) -> httpx.Response:
    headers = {**vector.headers, **({"capgkey": secret} if secret else {})}
    if vector.path.startswith(CREATE):
        headers["tus-resumable"] = "1.0.0"
    if isinstance(vector.body, dict):
        return uploader.client.request(vector.method, vector.path, headers=headers, json=vector.body)
    return uploader.client.request(vector.method, vector.path, headers=headers, content=vector.body)
