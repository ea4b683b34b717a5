"""Every setting of the server, declared once: its type, its default, what is allowed and what it means.

`Settings` is the declaration and the result at the same time: each field carries its `Setting`, and `SETTINGS` is read
from the fields. Messages, the documentation and the flags of the command line come from that table.
"""

# `setting` only wraps `dataclasses.field`:
# ruff: noqa: RUF009

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar, cast

from capstan.settings import kinds
from capstan.settings.kinds import Kind, LimitedApp, Network, Secret

T = TypeVar("T")

KEY_LENGTH = 32
ENVIRONMENT_PREFIX = "CAPSTAN_"

SERVING = "Serving"
DATABASES = "Databases"
OBJECTS = "Bundle storage"
ACCESS = "Access and secrets"
UPLOADS = "Uploads"
DEVICES = "Devices and dialects"
RETENTION = "What is kept how long"
RATE_LIMITS = "Rate limits"
LOGS = "Logs"


@dataclass(frozen=True)
class Derived(Generic[T]):
    """A default that follows from settings declared before it; `text` says it in words."""

    text: str
    value: Callable[[Mapping[str, Any]], T]


@dataclass(frozen=True)
class Setting:
    """One row of the table. A default that is text is read like a value given by the operator."""

    name: str
    group: str
    kind: Kind[Any]
    default: str | Derived[Any]
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable, such as `CAPSTAN_DATA_DIR`."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def flag(self) -> str:
        """The flag of the command line, such as `--data-dir`."""
        return "--" + self.name.replace("_", "-")

    @property
    def secret(self) -> bool:
        """Whether the value must never be shown, nor be given as a flag, which every user of the machine can read."""
        return self.kind.show is kinds.show_nothing


def setting(group: str, kind: Kind[T], default: str | Derived[T], meaning: str) -> T:
    """Declare a field of `Settings`; the type of the field and the kind are checked against each other."""
    return cast(T, field(metadata={"setting": Setting("", group, kind, default, meaning)}))


def _sqlite(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda known: f"sqlite:///{known['data_dir'] / name}"


def _telemetry_url(known: Mapping[str, Any]) -> str:
    registry: str = known["database_url"]
    return registry if is_postgresql(registry) else _sqlite("telemetry.db")(known)


def _listen_url(known: Mapping[str, Any]) -> str | None:
    registry: str = known["database_url"]
    return registry if is_postgresql(registry) else None


def _objects_folder(known: Mapping[str, Any]) -> str:
    folder: Path = known["data_dir"] / "objects"
    return folder.as_uri()


def is_postgresql(url: str) -> bool:
    return url.startswith("postgresql://")


_KEPT = kinds.duration(86400, 3650 * 86400, "from 1 day to 3650 days")


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Settings:
    """What the operator decided. Sizes are bytes, durations seconds, paths absolute, and every value was checked."""

    data_dir: Path = setting(
        SERVING,
        kinds.folder(),
        "capstan-data",
        "The folder for everything that Capstan keeps on this machine. It is made when it does not exist.",
    )
    host: str = setting(
        SERVING,
        kinds.word("a host name or an IP address"),
        "127.0.0.1",
        "The address to listen on; `0.0.0.0` or `::` means every network the machine is in.",
    )
    port: int = setting(
        SERVING, kinds.whole_number(0, 65535), "8000", "The TCP port to listen on; `0` takes any free port."
    )
    workers: int = setting(SERVING, kinds.whole_number(1, 64), "1", "How many processes answer requests.")
    public_url: str | None = setting(
        SERVING,
        kinds.optional(kinds.http_origin()),
        "",
        "Where devices and people reach the server, for links in answers. Without it, links follow the `Host` of the "
        "request and prepared answers cannot be shared between hosts.",
    )
    trusted_proxies: tuple[Network, ...] = setting(
        SERVING,
        kinds.listed(kinds.network()),
        "",
        "The proxies whose headers about the client's address, host and scheme are believed. From anybody else those "
        "headers are ignored.",
    )
    tls_cert: Path | None = setting(
        SERVING,
        kinds.optional(kinds.existing_file()),
        "",
        "The certificate chain (PEM), to serve HTTPS without a proxy. Goes together with `tls_key`.",
    )
    tls_key: Path | None = setting(
        SERVING, kinds.optional(kinds.existing_file()), "", "The private key (PEM) of `tls_cert`."
    )

    database_url: str = setting(
        DATABASES,
        kinds.database_url(),
        Derived("the SQLite file `registry.db` in the data directory", _sqlite("registry.db")),
        "The registry: organizations, keys, apps, bundles, channels. PostgreSQL needs `secret_key` too.",
    )
    telemetry_database_url: str = setting(
        DATABASES,
        kinds.database_url(),
        Derived(
            "the SQLite file `telemetry.db` in the data directory, or the PostgreSQL of `database_url`",
            _telemetry_url,
        ),
        "What devices did: events, device rows, counters. The same kind of database as `database_url`; with SQLite "
        "another file.",
    )
    database_listen_url: str | None = setting(
        DATABASES,
        kinds.optional(kinds.postgresql_url()),
        Derived("`database_url` when that is PostgreSQL, otherwise none", _listen_url),
        "A direct connection for `LISTEN`, needed when `database_url` goes through a pooler that shares connections "
        "between transactions. Only with PostgreSQL.",
    )

    objects_url: str = setting(
        OBJECTS,
        kinds.objects_url(),
        Derived("the folder `objects` in the data directory", _objects_folder),
        "Where bundles are kept: a folder, or a bucket of S3 (or a compatible service), Google Cloud or Azure.",
    )
    s3_endpoint: str | None = setting(
        OBJECTS, kinds.optional(kinds.http_url()), "", "The address of an S3-compatible service that is not AWS."
    )
    s3_region: str | None = setting(
        OBJECTS,
        kinds.optional(kinds.word("a region such as `eu-central-1`")),
        "",
        "The region of the bucket. Empty: as `AWS_REGION` says.",
    )
    s3_access_key_id: str | None = setting(
        OBJECTS,
        kinds.optional(kinds.word("an access key id")),
        "",
        "The S3 access key. Goes together with `s3_secret_access_key`. Empty: credentials are found as AWS clients "
        "do, in `AWS_…` variables or from the role of the machine.",
    )
    s3_secret_access_key: Secret | None = setting(
        OBJECTS, kinds.optional(kinds.secret()), "", "The secret of `s3_access_key_id`."
    )
    s3_allow_http: bool = setting(
        OBJECTS,
        kinds.yes_or_no(),
        "false",
        "Whether an `http://` endpoint may be used, where bundles and signatures travel unencrypted.",
    )

    secret_key: tuple[Secret, ...] = setting(
        ACCESS,
        kinds.listed(kinds.secret_key(KEY_LENGTH)),
        Derived("the file `secret.key` in the data directory, made on first start", lambda _known: ()),
        "Signs sessions and encrypts keys that must be shown again. To rotate, put a new key in front: the first one "
        "is used, the others are still understood. Must be set, and the same on every node, with PostgreSQL. Belongs "
        "into every backup.",
    )
    mask_api_keys: bool = setting(
        ACCESS,
        kinds.yes_or_no(),
        "false",
        "Whether lists of API keys never contain a whole key, not even for its owner.",
    )
    keys_may_create_keys: bool = setting(
        ACCESS,
        kinds.yes_or_no(),
        "true",
        "Whether an API key with the right to manage keys may create others. Off: only a signed-in person may.",
    )
    cors_allowed_origins: tuple[str, ...] = setting(
        ACCESS,
        kinds.listed(kinds.web_origin()),
        "",
        "Origins that browsers may call the API from, besides `public_url`, the origins of Capacitor's web views and "
        "every port of the local machine.",
    )

    max_bundle_bytes: int = setting(UPLOADS, kinds.size(), "1GiB", "The most bytes that an uploaded zip may have.")
    max_unpacked_bytes: int = setting(
        UPLOADS, kinds.size(), "4GiB", "The most bytes that all files of a zip may have together, unpacked."
    )
    max_bundle_files: int = setting(
        UPLOADS, kinds.whole_number(1, 1_000_000), "20000", "The most files that a zip may have."
    )
    max_zip_ratio: int = setting(
        UPLOADS,
        kinds.whole_number(1, 100_000),
        "200",
        "How many times larger than its packed size a zip may get. Stops zip bombs early.",
    )
    max_body_bytes: int = setting(UPLOADS, kinds.size(), "2MiB", "The most bytes that a JSON body may have.")
    brotli_quality: int = setting(
        UPLOADS,
        kinds.whole_number(0, 11),
        "7",
        "How hard files for delta updates are compressed. `11` saves a few percent and costs about a second of one "
        "core for each MB.",
    )

    default_dialect: Literal["seed", "modern"] = setting(
        DEVICES,
        kinds.choice("seed", "modern"),
        "seed",
        "The shape of answers for callers that send their key in a plain `authorization` header, where the older and "
        "the newer public API differ and nothing else in the request decides.",
    )
    limited_apps: tuple[LimitedApp, ...] = setting(
        DEVICES,
        kinds.limited_apps(),
        "",
        "Apps whose devices are turned away with 429: all requests (`ignore` 1) or a share of them. The first entry "
        "of an app counts.",
    )
    stale_for: int = setting(
        DEVICES,
        kinds.duration(0, 7 * 86400, "up to 7 days"),
        "15m",
        "How long devices still get answers from memory while the database cannot be reached; then 503.",
    )
    identical_set_limiter: bool = setting(
        DEVICES,
        kinds.yes_or_no(),
        "true",
        "Whether giving a device the channel it was given within the last minute is answered with 429. Only in the "
        "modern dialect.",
    )

    failed_bundle_memory: int = setting(
        DEVICES,
        kinds.duration(0, 90 * 86400, "up to 90 days"),
        "7d",
        "How long a device is not offered a bundle again that it could not run (`update_fail`, `set_fail`); another "
        "bundle is offered at once. `0`: it is offered again at every check.",
    )

    keep_running_days: int = setting(
        RETENTION,
        kinds.whole_number(0, 3650),
        "30",
        "A bundle is not deleted for its age while devices seen within this many days run it. `0`: it is.",
    )
    event_retention: int = setting(
        RETENTION,
        _KEPT,
        "90d",
        "How long the log of single events and downloads is kept. Daily numbers are kept for ever.",
    )
    device_retention: int = setting(
        RETENTION, _KEPT, "90d", "How long a device is known after it was seen for the last time."
    )
    override_retention: int = setting(
        RETENTION,
        _KEPT,
        "90d",
        "How long a device stays on the channel or bundle that somebody put it on, counted from the last time that "
        "somebody did so.",
    )
    keep_custom_ids: bool = setting(
        RETENTION,
        kinds.yes_or_no(),
        "true",
        "Whether the ids that apps give their devices (`custom_id`) are kept, where the app allows it. Off: they are "
        "dropped on arrival, and those kept before are removed within a day.",
    )
    audit_retention: int = setting(RETENTION, _KEPT, "90d", "How long the audit log is kept.")

    rate_limit_failed_auth: int = setting(
        RATE_LIMITS,
        kinds.limit(1_000_000),
        "20",
        "Failed authentications from one address before it is blocked for 15 minutes.",
    )
    rate_limit_api_key: int = setting(
        RATE_LIMITS,
        kinds.limit(1_000_000),
        "2000",
        "Requests a minute with one API key. Routes that upload have ten times as many.",
    )
    rate_limit_channel_self_ip: int = setting(
        RATE_LIMITS,
        kinds.limit(1_000_000),
        "1000",
        "Requests a minute from one address for one app to `/channel_self`, and the same to `/device`.",
    )
    rate_limit_update_enumeration_misses: int = setting(
        RATE_LIMITS,
        kinds.limit(1000),
        "5",
        "Unknown app ids that one address may ask updates for, before all its checks are refused for 15 minutes.",
    )
    rate_limit_loopback_unknown: bool = setting(
        RATE_LIMITS,
        kinds.yes_or_no(),
        "true",
        "Whether callers from this machine or a private network, without a trusted proxy's header, are exempt from "
        "limits by address. Otherwise a proxy that is not in `trusted_proxies` gets everybody behind it blocked.",
    )

    log_format: Literal["console", "json"] = setting(
        LOGS, kinds.choice("console", "json"), "console", "Lines for people, or one JSON object a line."
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        LOGS, kinds.choice("debug", "info", "warning", "error"), "info", "The least serious lines that are written."
    )
    log_checks: Literal["hourly", "all"] = setting(
        LOGS,
        kinds.choice("hourly", "all"),
        "hourly",
        "How update checks that change nothing enter a device's log: once an hour with a count, or each one.",
    )

    def __repr__(self) -> str:
        shown = (f"{one.name}={_shown(one, getattr(self, one.name))}" for one in SETTINGS)
        return f"Settings({', '.join(shown)})"


def _shown(one: Setting, value: object) -> str:
    return one.kind.show(value) if isinstance(value, str) else repr(value)


SETTINGS: tuple[Setting, ...] = tuple(
    replace(declared.metadata["setting"], name=declared.name) for declared in fields(Settings)
)
