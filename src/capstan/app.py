"""The composition root: opens the stores, wires the planes, nothing else.

Nobody imports this but the server that runs it. What is opened here is closed here, in reverse.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

import structlog
from starlette.types import ASGIApp, Receive, Scope, Send

from capstan import __version__
from capstan.access.principal import KeyPrincipal, Principal
from capstan.apikeys import service as apikeys
from capstan.apps import api as apps_api
from capstan.bundles import api as bundles_api
from capstan.channels import api as channels_api
from capstan.db.engine import is_sqlite
from capstan.db.session import ReadSession
from capstan.devices import api as devices_api
from capstan.devices.limits import DeviceLimits
from capstan.files.download import Downloads, Sent
from capstan.organizations import api as organizations_api
from capstan.settings import Settings
from capstan.stores import Stores, object_store, open_stores, sqlite_file
from capstan.telemetry.sinks import PostgresSink, Sink, SqliteSink
from capstan.telemetry.writer import Writer
from capstan.updates.api import EXPLAIN_PATH, ExplainHandler
from capstan.updates.checks import CheckHandler
from capstan.updates.directory import Directory
from capstan.updates.directory_postgresql import PostgresDirectory
from capstan.updates.directory_sqlite import SqliteDirectory
from capstan.updates.enumeration import EnumerationGuard
from capstan.updates.gate import LimitList
from capstan.updates.plane import DevicePlane
from capstan.updates.recording import Recorder
from capstan.updates.stats import StatsHandler
from capstan.web.client import ClientAddresses
from capstan.web.credentials import CredentialLimits, CredentialResolver
from capstan.web.edge import Edge
from capstan.web.endpoint import Dialect, Endpoint
from capstan.web.origin import Origins
from capstan.web.router import ControlPlane, RouteTable

log = structlog.get_logger(__name__)

DOWNLOADS_PATH = "/files/read/attachments/"


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
        if scope["method"] == "OPTIONS":
            await planes.edge.preflight(scope, send)
        elif planes.device.serves(scope["path"]):
            await planes.device(scope, receive, send)
        elif scope["path"].startswith(DOWNLOADS_PATH):
            await planes.downloads(scope, receive, send)
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
    downloads: Downloads
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
    credentials = CredentialResolver(
        Authenticator(), CredentialLimits(settings.rate_limit_failed_auth, settings.rate_limit_api_key)
    )
    recorder = Recorder(writer, settings.log_checks)
    limit = LimitList((app.app_id, app.ignore) for app in settings.limited_apps)
    guard = EnumerationGuard(
        settings.rate_limit_update_enumeration_misses, stores.derived_key("app id enumeration"), time.time
    )
    checks = CheckHandler(directory, recorder, limit, guard)
    device_plane = DevicePlane(
        checks,
        StatsHandler(directory, writer, recorder, limit),
        addresses,
        origins,
        cors_origins=cors_origins,
        max_body_bytes=settings.max_body_bytes,
    )
    control_plane = ControlPlane(
        routes=RouteTable(_endpoints(stores)),
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
    control = ByPath({EXPLAIN_PATH: explain}, control_plane)
    return Planes(device_plane, _downloads(settings), Edge(control, cors_origins, __version__))


def _endpoints(stores: Stores) -> Iterable[Endpoint]:
    settings = stores.settings
    device_limits = DeviceLimits(
        settings.rate_limit_channel_self_ip, refuse_identical_sets=settings.identical_set_limiter
    )
    return (
        *organizations_api.ENDPOINTS,
        *apps_api.ENDPOINTS,
        *bundles_api.ENDPOINTS,
        *channels_api.ENDPOINTS,
        *devices_api.endpoints(device_limits, stores.telemetry),
    )


def _downloads(settings: Settings) -> Downloads:
    """Bandwidth and missing objects have no counters yet."""

    def on_sent(_sent: Sent) -> None:
        return

    def on_missing(_app_id: str) -> None:
        return

    return Downloads(object_store(settings), on_sent, on_missing)


def _directory(stores: Stores) -> Directory:
    settings = stores.settings
    if is_sqlite(settings.database_url):
        return SqliteDirectory(sqlite_file(settings.database_url), settings.stale_for)
    return PostgresDirectory(
        stores.registry.engine, settings.database_listen_url or settings.database_url, settings.stale_for
    )


def _sink(settings: Settings) -> Sink:
    url = settings.telemetry_database_url
    return SqliteSink(sqlite_file(url)) if is_sqlite(url) else PostgresSink(url)
