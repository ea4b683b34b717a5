"""Wire shapes and routes of apps (contract: public 13)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct
from sqlalchemy import RowMapping

from capstan.apps import service
from capstan.errors import Problem
from capstan.web.endpoint import Credentials, Done, Endpoint, ReadCall, Reader, WriteCall
from capstan.web.inputs import PageNumber

PageSize = Annotated[int, Meta(ge=1)]


class App(Struct, frozen=True, kw_only=True):
    """An app row (contract: public 7.3)."""

    id: str
    app_id: str
    name: str | None
    icon_url: str
    user_id: str | None
    owner_org: str
    last_version: str | None
    created_at: datetime
    updated_at: datetime
    retention: int
    default_upload_channel: str
    transfer_history: list[Any] | None
    channel_device_count: int
    manifest_bundle_count: int
    rollout_channel_count: int
    rollout_paused_version_names: list[str]
    expose_metadata: bool
    allow_preview: bool
    allow_device_custom_id: bool
    block_provider_infra_requests: bool
    need_onboarding: bool
    existing_app: bool
    created_from_onboarding: bool
    onboarding_completed_at: datetime | None
    ios_store_url: str | None
    android_store_url: str | None
    stats_updated_at: datetime | None
    stats_refresh_requested_at: datetime | None
    build_timeout_seconds: int
    build_timeout_updated_at: datetime | None


class AppPath(Struct, frozen=True):
    app_id: str


class AppList(Struct, frozen=True):
    org_id: str | None = None
    page: PageNumber = 0
    limit: PageSize = 50


class AppCreation(Struct, frozen=True):
    app_id: str | None = None
    name: str | None = None
    owner_org: str | None = None
    icon: str | None = None
    need_onboarding: bool | None = None
    existing_app: bool | None = None
    ios_store_url: str | None = None
    android_store_url: str | None = None


def to_wire(row: RowMapping) -> App:
    members = {name: row[name] for name in App.__struct_fields__}
    members["rollout_paused_version_names"] = row["rollout_paused_version_names"] or []
    return App(**members)


def get_apps(call: ReadCall, given: AppList) -> list[App]:
    rows = service.list_apps(call.session, call.principal, given.org_id, page=given.page, limit=given.limit)
    return [to_wire(row) for row in rows]


def get_app(call: ReadCall, given: AppPath) -> App:
    return to_wire(service.read(call.session, call.principal, given.app_id))


def post_app(call: WriteCall, given: AppCreation) -> App:
    app_id = service.checked_app_id(given.app_id)
    if not given.name:
        raise Problem("missing_name", "Missing name")
    if not given.owner_org:
        raise Problem("missing_owner_org", "Missing owner_org")
    new = service.NewApp(
        app_id=app_id,
        name=given.name,
        owner_org=given.owner_org,
        icon_url=given.icon or "",
        need_onboarding=bool(given.need_onboarding),
        existing_app=bool(given.existing_app),
        ios_store_url=given.ios_store_url,
        android_store_url=given.android_store_url,
    )
    return to_wire(service.create(call.session, call.principal, new))


def delete_app(call: WriteCall, given: AppPath) -> Done:
    service.delete(call.session, call.principal, given.app_id)
    return Done()


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/app",
        summary="List apps",
        handler=get_apps,
        input=AppList,
        output=list[App],
        errors=("user_does_not_have_access_to_this_organization",),
        permission="org.read",
    ),
    Endpoint(
        method="GET",
        path="/app/:app_id",
        summary="Read an app",
        handler=get_app,
        input=AppPath,
        output=App,
        errors=("invalid_app_id", "cannot_access_app"),
        permission="app.read",
    ),
    Endpoint(
        method="POST",
        path="/app",
        summary="Create an app",
        handler=post_app,
        input=AppCreation,
        output=App,
        errors=(
            "missing_app_id",
            "invalid_app_id",
            "missing_name",
            "missing_owner_org",
            "cannot_access_organization",
            "app_id_already_exists",
            "cannot_create_app",
        ),
        permission="org.create_app",
        credentials=Credentials.ANY,
        refusal="cannot_create_app",
    ),
    Endpoint(
        method="DELETE",
        path="/app/:app_id",
        summary="Delete an app and everything in it",
        handler=delete_app,
        input=AppPath,
        errors=("invalid_app_id", "cannot_delete_app"),
        permission="app.delete",
        reader=Reader.PATH,
        refusal="cannot_delete_app",
    ),
)
