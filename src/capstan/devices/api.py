"""Wire shapes and routes of devices, in both dialects (contract: public 15)."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, field
from sqlalchemy import Engine
from starlette.responses import Response

from capstan.devices import service
from capstan.devices.limits import DeviceLimits
from capstan.devices.listing import Listing, moment_text
from capstan.devices.service import Device, Placement
from capstan.web.answers import json_answer
from capstan.web.endpoint import Dialect, Done, Endpoint, ReadCall, WriteCall
from capstan.web.inputs import PageNumber, Unchecked

DeviceId = Annotated[str, Meta(max_length=36)]


class ModernDevice(Struct, frozen=True, kw_only=True):
    """A device; `version` is the id of its bundle and absent if that is unknown, `channel` its override."""

    updated_at: str
    device_id: str
    custom_id: str
    is_prod: bool
    is_emulator: bool
    install_source: str | None
    version_name: str | None
    version: int | UnsetType
    app_id: str
    platform: str
    plugin_version: str
    os_version: str
    version_build: str
    key_id: str | None
    country_code: str | None
    channel: str | UnsetType


class BundleName(Struct, frozen=True):
    """`id` is 0 for a bundle that is not known here."""

    id: int
    name: str


class SeedDevice(Struct, frozen=True, kw_only=True):
    """A device in the older shape; `created_at` is when it was first seen."""

    created_at: str
    updated_at: str
    device_id: str
    custom_id: str
    is_prod: bool
    is_emulator: bool
    install_source: str | None
    version_name: str | None
    version: BundleName
    version_id: int
    app_id: str
    platform: str
    plugin_version: str
    os_version: str
    version_build: str
    key_id: str | None
    country_code: str | None
    channel: str | UnsetType


class ModernDevices(Struct, frozen=True):
    data: list[ModernDevice]
    has_more: bool = field(name="hasMore")
    next_cursor: str | UnsetType = field(name="nextCursor", default=UNSET)


class DeviceSelection(Struct, frozen=True, kw_only=True):
    app_id: str | None = None
    device_id: str | None = None
    page: PageNumber = 0
    cursor: str | None = None
    limit: Annotated[Unchecked, Meta(extra_json_schema={"type": "integer", "minimum": 1})] | None = None
    order: Annotated[Unchecked, Meta(extra_json_schema={"enum": ["asc", "desc"]})] | None = None
    updated_at: Annotated[Unchecked, Meta(extra_json_schema={"type": "string", "format": "date-time"})] | None = None
    custom_id_mode: bool | None = field(default=None, name="customIdMode")


class DevicePlacement(Struct, frozen=True):
    app_id: str | None = None
    device_id: DeviceId | None = None
    channel: str | None = None
    version_id: str | int | None = None


class DeviceChoice(Struct, frozen=True):
    app_id: str | None = None
    device_id: str | None = None


class DeviceHandlers:
    """The handlers, bound to what they need: the counts of requests, and telemetry's database."""

    def __init__(self, limits: DeviceLimits, telemetry: Engine) -> None:
        self._limits = limits
        self._telemetry = telemetry

    def get(self, call: ReadCall, given: DeviceSelection) -> Any:
        self._limits.count("get", given.app_id, given.device_id, call.client_address)
        if given.device_id:
            device = service.read(call.session, self._telemetry, call.principal, given.app_id, given.device_id)
            return _seed(device) if call.dialect is Dialect.SEED else _modern(device)
        page = service.list_devices(
            call.session, self._telemetry, call.principal, given.app_id, _listing(given, call.dialect)
        )
        if call.dialect is Dialect.SEED:
            return _seed_page(page)
        return ModernDevices(
            [_modern(device) for device in page.devices],
            page.next_cursor is not None,
            UNSET if page.next_cursor is None else page.next_cursor,
        )

    def post(self, call: WriteCall, given: DevicePlacement) -> Done:
        self._limits.count("set", given.app_id, given.device_id, call.client_address)
        is_seed = call.dialect is Dialect.SEED
        if given.app_id and given.device_id and given.channel and not is_seed:
            self._limits.count_set(given.app_id, given.device_id, given.channel)
        bundle = str(given.version_id) if given.version_id else None
        wanted = Placement(given.app_id, given.device_id, given.channel, bundle)
        service.place(call.session, call.principal, wanted, pins_allowed=is_seed)
        return Done()

    def delete(self, call: WriteCall, given: DeviceChoice) -> Done:
        self._limits.count("delete", given.app_id, given.device_id, call.client_address)
        service.release(call.session, call.principal, given.app_id, given.device_id)
        return Done()


def _listing(given: DeviceSelection, dialect: Dialect) -> Listing:
    return Listing(
        page=given.page if dialect is Dialect.SEED else 0,
        cursor=given.cursor,
        limit=given.limit and given.limit.value,
        order=given.order and given.order.value,
        changed_after=given.updated_at and given.updated_at.value,
        with_custom_id=bool(given.custom_id_mode),
    )


def _seed_page(page: service.DevicePage) -> Response:
    headers = {"x-has-more": "true" if page.next_cursor else "false"}
    if page.next_cursor:
        headers["x-next-cursor"] = page.next_cursor
    return json_answer([_seed(device) for device in page.devices], headers=headers)


def _modern(device: Device) -> ModernDevice:
    return ModernDevice(**_members(device), version=UNSET if device.bundle_id is None else device.bundle_id)


def _seed(device: Device) -> SeedDevice:
    bundle_id = device.bundle_id or 0
    return SeedDevice(
        **_members(device),
        created_at=moment_text(device.row["created_at"]),
        version=BundleName(bundle_id, device.row["version_name"] or "unknown"),
        version_id=bundle_id,
    )


_COPIED = (
    "device_id",
    "custom_id",
    "is_prod",
    "is_emulator",
    "install_source",
    "version_name",
    "app_id",
    "platform",
    "plugin_version",
    "os_version",
    "version_build",
    "key_id",
    "country_code",
)


def _members(device: Device) -> dict[str, Any]:
    members = {name: device.row[name] for name in _COPIED}
    members["updated_at"] = moment_text(device.row["updated_at"])
    members["channel"] = UNSET if device.channel is None else device.channel
    return members


_MODERN_LIST_PARAMETERS = frozenset({"cursor", "limit", "order", "updated_at", "customIdMode"})


def endpoints(limits: DeviceLimits, telemetry: Engine) -> tuple[Endpoint, ...]:
    """The routes of /device. `telemetry` is only read."""
    handlers = DeviceHandlers(limits, telemetry)
    return (
        Endpoint(
            method="GET",
            path="/device",
            summary="List the devices of an app, or read one",
            handler=handlers.get,
            input=DeviceSelection,
            output=ModernDevice | SeedDevice | ModernDevices | list[SeedDevice],
            errors=(
                "missing_app_id",
                "invalid_app_id",
                "cannot_access_app",
                "device_not_found",
                "invalid_limit",
                "invalid_order",
                "invalid_updated_at",
                "devices_not_found",
            ),
            permission="app.read_devices",
            selector="device_id",
            list_parameters=_MODERN_LIST_PARAMETERS | {"page"},
            modern_only=_MODERN_LIST_PARAMETERS,
            seed_only=frozenset({"page"}),
        ),
        Endpoint(
            method="POST",
            path="/device",
            summary="Force a device onto a channel, or (older shape) pin it to a bundle",
            handler=handlers.post,
            input=DevicePlacement,
            errors=(
                "missing_device_id_or_app_id",
                "invalid_app_id",
                "invalid_version_id",
                "cannot_access_app",
                "cannot_find_version",
                "channel_not_found",
                "cannot_access_channel",
                "public_channel_override",
                "channel_device_error",
            ),
            permission="channel.manage_forced_devices",
            accepts_empty=True,
            refusal="channel_device_error",
            refusal_status=500,
        ),
        Endpoint(
            method="DELETE",
            path="/device",
            summary="Remove a device's override and pin",
            handler=handlers.delete,
            input=DeviceChoice,
            errors=("missing_app_id", "missing_device_id", "invalid_app_id", "cannot_access_app"),
            permission="app.manage_devices",
        ),
    )
