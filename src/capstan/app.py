"""The composition root: opens the stores, wires the planes, nothing else.

Nobody imports this but the server that runs it. What is opened here is closed here, in reverse.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from capstan import __version__
from capstan.access.principal import KeyPrincipal, Principal
from capstan.apikeys import api as apikeys_api
from capstan.apikeys import service as apikeys
from capstan.apikeys.api import KeyRules
from capstan.apps import api as apps_api
from capstan.audit import api as audit_api
from capstan.bundles import api as bundles_api
from capstan.bundles import upload as bundles_upload
from capstan.bundles.upload import BundleUpload, Storing
from capstan.channels import api as channels_api
from capstan.db.engine import is_sqlite
from capstan.db.session import ReadSession
from capstan.devices import api as devices_api
from capstan.devices.limits import DeviceLimits
from capstan.files.accounting import DownloadAccounts
from capstan.files.archive import ArchiveLimits
from capstan.files.download import Downloads
from capstan.files.incoming import Incoming
from capstan.files.objects import ObjectStore
from capstan.files.plane import FilePlane
from capstan.jobs.job import Job
from capstan.jobs.loop import JobLoop
from capstan.members import api as members_api
from capstan.organizations import api as organizations_api
from capstan.retention.jobs import Kept, upkeep_jobs
from capstan.retention.limits import LEFTOVERS_KEPT, limits_of
from capstan.rollouts.service import auto_pause_job
from capstan.settings import Settings
from capstan.stores import Stores, object_store, open_stores, s3_options, sqlite_file
from capstan.telemetry.failed_bundles import PostgresFailureReader, SqliteFailureReader
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.writer import Telemetry, Writer
from capstan.updates.api import EXPLAIN_PATH, ExplainHandler
from capstan.updates.channel_self.handler import ChannelSelfHandler
from capstan.updates.channel_self.limits import ChannelCallLimits
from capstan.updates.checks import CheckHandler
from capstan.updates.directory import Directory
from capstan.updates.directory_postgresql import PostgresDirectory
from capstan.updates.directory_sqlite import SqliteDirectory
from capstan.updates.enumeration import EnumerationGuard
from capstan.updates.failed import FailedBundles, NothingKept, RememberedFailures
from capstan.updates.gate import LimitList
from capstan.updates.liveness import RegistryProbe
from capstan.updates.manifest_size import ManifestSizeHandler
from capstan.updates.plane import DevicePlane, Handlers
from capstan.updates.recording import Recorder
from capstan.updates.stats import StatsHandler
from capstan.uploads import api as uploads_api
from capstan.uploads.links import PURPOSE as UPLOAD_LINK_PURPOSE
from capstan.uploads.links import UploadLinks
from capstan.uploads.signed import SignedUploads
from capstan.uploads.sweep import sweep_expired
from capstan.uploads.tus import ResumableUploads
from capstan.web.client import ClientAddresses
from capstan.web.credentials import CredentialLimits, CredentialResolver
from capstan.web.edge import Edge
from capstan.web.endpoint import Dialect, Endpoint
from capstan.web.origin import Origins
from capstan.web.router import ControlPlane, RouteTable

log = structlog.get_logger(__name__)


class Authenticator:
    """Finds principals for the plumbing."""

    def by_key(self, session: ReadSession, secret: str) -> KeyPrincipal | None:
        return apikeys.principal_of_secret(session, secret)

    def sub_key(self, session: ReadSession, parent: KeyPrincipal, key_id: int) -> KeyPrincipal:
        return apikeys.sub_key(session, parent, key_id)

    def by_session(self, _session: ReadSession, _token: str) -> Principal | None:
        return None


class Capstan:
    """The server as one ASGI application. Everything is opened at its start-up and closed at its shutdown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._planes: Planes | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        planes = self._planes
        assert planes is not None, "the server takes requests between start-up and shutdown only"
        method, path = scope["method"], scope["path"]
        if method != "OPTIONS" and planes.device.serves(path):
            await planes.device(scope, receive, send)
        elif planes.files.serves(method, path):
            await planes.files(scope, receive, send)
        elif method == "OPTIONS":
            await planes.edge.preflight(scope, send)
        else:
            await planes.edge(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            async with AsyncExitStack() as stack:
                self._planes = await _open_planes(self._settings, stack)
                await send({"type": "lifespan.startup.complete"})
                await receive()
                self._planes = None
        except Exception as error:
            log.exception("the server cannot go on")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.shutdown.complete"})


@dataclass(frozen=True)
class Planes:
    """What requests are handed to."""

    device: DevicePlane
    files: FilePlane
    edge: Edge


class ByPath:
    """ASGI applications by their exact path, and one for all other paths."""

    def __init__(self, applications: Mapping[str, ASGIApp], otherwise: ASGIApp) -> None:
        self._applications = applications
        self._otherwise = otherwise

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._applications.get(scope["path"].rstrip("/"), self._otherwise)(scope, receive, send)


async def _open_planes(settings: Settings, stack: AsyncExitStack) -> Planes:
    stores = stack.enter_context(open_stores(settings))
    directory = _directory(stores)
    await directory.start()
    stack.push_async_callback(directory.stop)
    writer = Writer(_sink(settings))
    stack.push_async_callback(writer.stop)
    addresses = ClientAddresses(settings.trusted_proxies, loopback_unknown=settings.rate_limit_loopback_unknown)
    origins = Origins(settings.public_url, addresses)
    cors_origins = frozenset(settings.cors_allowed_origins) | ({settings.public_url} if settings.public_url else set())
    limits = CredentialLimits(settings.rate_limit_failed_auth, settings.rate_limit_api_key)
    credentials = CredentialResolver(Authenticator(), limits)
    recorder = Recorder(writer, settings.log_checks, keep_custom_ids=settings.keep_custom_ids)
    limit = LimitList((app.app_id, app.ignore) for app in settings.limited_apps)
    guard = EnumerationGuard(
        settings.rate_limit_update_enumeration_misses, stores.derived_key("app id enumeration"), time.time
    )
    failures = await _failed_bundles(stores, writer, stack)
    checks = CheckHandler(directory, recorder, limit, guard, failures)
    channel_limits = ChannelCallLimits(settings.rate_limit_channel_self_ip, time.time)
    handlers = Handlers(
        checks,
        StatsHandler(directory, writer, recorder, limit, failures),
        ChannelSelfHandler(directory, stores.registry, writer, recorder, limit, channel_limits),
        ManifestSizeHandler(directory, limit),
        RegistryProbe(directory),
    )
    device_plane = DevicePlane(
        handlers,
        addresses,
        origins,
        cors_origins=cors_origins,
        max_body_bytes=settings.max_body_bytes,
    )
    objects = object_store(settings)
    incoming = _incoming(settings, objects)
    links = UploadLinks(stores.derived_key(UPLOAD_LINK_PURPOSE))
    control_plane = ControlPlane(
        routes=RouteTable(_endpoints(stores, objects, links)),
        registry=stores.registry,
        credentials=credentials,
        addresses=addresses,
        origins=origins,
        default_dialect=Dialect(settings.default_dialect),
        max_body_bytes=settings.max_body_bytes,
    )
    explain = ExplainHandler(
        checks,
        directory,
        stores.registry,
        credentials,
        addresses,
        origins,
        max_body_bytes=settings.max_body_bytes,
    )
    upload = BundleUpload(
        registry=stores.registry,
        credentials=credentials,
        addresses=addresses,
        objects=objects,
        incoming=incoming,
        storing=_storing(settings),
    )
    control = ByPath({EXPLAIN_PATH: explain, bundles_upload.PATH: upload}, control_plane)
    accounts = DownloadAccounts(writer, lambda app_id: directory.peek(app_id) is not None, time.time)
    downloads = Downloads(objects, accounts.sent, accounts.missing)
    resumable = ResumableUploads(
        registry=stores.registry,
        objects=objects,
        downloads=downloads,
        credentials=CredentialResolver(Authenticator(), limits.for_uploads()),
        addresses=addresses,
        origins=origins,
        max_length=settings.max_bundle_bytes,
    )
    signed = SignedUploads(stores.registry, objects, links, incoming, settings.max_bundle_bytes)
    await run_in_threadpool(sweep_expired, stores.registry, objects)
    files = FilePlane(downloads, resumable, signed)
    jobs = JobLoop(stores.registry, _jobs(stores, objects, incoming))
    jobs.start()
    stack.push_async_callback(jobs.stop)
    return Planes(device_plane, files, Edge(control, cors_origins, __version__))


def _endpoints(stores: Stores, objects: ObjectStore, links: UploadLinks) -> Iterable[Endpoint]:
    settings = stores.settings
    device_limits = DeviceLimits(
        settings.rate_limit_channel_self_ip, refuse_identical_sets=settings.identical_set_limiter
    )
    rules = KeyRules(always_masked=settings.mask_api_keys, keys_create_keys=settings.keys_may_create_keys)
    return (
        *organizations_api.ENDPOINTS,
        *members_api.ENDPOINTS,
        *audit_api.ENDPOINTS,
        *apikeys_api.endpoints(stores.secret_box, rules),
        *apps_api.ENDPOINTS,
        *bundles_api.ENDPOINTS,
        *channels_api.ENDPOINTS,
        *devices_api.endpoints(device_limits, stores.telemetry),
        *uploads_api.endpoints(objects, links, settings.max_bundle_bytes),
    )


def _incoming(settings: Settings, objects: ObjectStore) -> Incoming:
    """Where uploads land, without what crashed servers left there and in the object store."""
    incoming = Incoming(settings.data_dir / "incoming", settings.max_bundle_bytes)
    forgotten = datetime.now(UTC) - LEFTOVERS_KEPT
    incoming.sweep(forgotten)
    objects.sweep(forgotten)
    return incoming


def _storing(settings: Settings) -> Storing:
    limits = ArchiveLimits(
        max_zip_bytes=settings.max_bundle_bytes,
        max_entries=settings.max_bundle_files,
        max_unpacked_bytes=settings.max_unpacked_bytes,
        max_ratio=settings.max_zip_ratio,
    )
    return Storing(
        objects_url=settings.objects_url, s3=s3_options(settings), quality=settings.brotli_quality, limits=limits
    )


def _jobs(stores: Stores, objects: ObjectStore, incoming: Incoming) -> Sequence[Sequence[Job]]:
    """The lanes of periodic work: what must be prompt does not wait for what takes long."""
    registry, telemetry = stores.registry, stores.telemetry
    upkeep = upkeep_jobs(Kept(registry, telemetry, objects, incoming, limits_of(stores.settings)))
    return ([auto_pause_job(registry, telemetry)], upkeep)


def _directory(stores: Stores) -> Directory:
    settings = stores.settings
    if is_sqlite(settings.database_url):
        return SqliteDirectory(sqlite_file(settings.database_url), settings.stale_for)
    return PostgresDirectory(
        stores.registry.engine, settings.database_listen_url or settings.database_url, settings.stale_for
    )


async def _failed_bundles(stores: Stores, telemetry: Telemetry, stack: AsyncExitStack) -> FailedBundles:
    memory_seconds = stores.settings.failed_bundle_memory
    if not memory_seconds:
        return NothingKept()
    url = stores.settings.telemetry_database_url
    reader = SqliteFailureReader(sqlite_file(url)) if is_sqlite(url) else PostgresFailureReader(stores.telemetry)
    failures = RememberedFailures(telemetry, stores.telemetry, reader, memory_seconds)
    await failures.start()
    stack.push_async_callback(failures.stop)
    return failures


def _sink(settings: Settings) -> Sink:
    url = settings.telemetry_database_url
    return SqliteSink(sqlite_file(url)) if is_sqlite(url) else PostgresSink(url)
