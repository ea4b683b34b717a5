"""Wire shapes and routes of organizations (contract: public 9)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType
from sqlalchemy import RowMapping

from capstan.access.permissions import Permission
from capstan.access.principal import KeyPrincipal
from capstan.errors import Problem
from capstan.organizations import changes, service
from capstan.organizations.emails import EmailAddress
from capstan.web.endpoint import Credentials, Dialect, Done, Endpoint, ReadCall, WriteCall
from capstan.web.inputs import PageNumber, invalid_body


class Organization(Struct, frozen=True, kw_only=True):
    """The members of an organization that are read (contract: public 9.1)."""

    id: str
    created_by: str
    created_at: datetime
    updated_at: datetime
    logo: str | None
    name: str
    management_email: str
    customer_id: str | None
    website: str | None


class WholeOrganization(Organization, frozen=True, kw_only=True):
    """An organization with its settings (contract: public 7.1)."""

    stats_updated_at: datetime | None
    last_stats_updated_at: datetime | None
    stats_refresh_requested_at: datetime | None
    enforcing_2fa: bool
    email_preferences: dict[str, bool]
    password_policy_config: dict[str, Any] | None
    enforce_hashed_api_keys: bool
    require_apikey_expiration: bool
    max_apikey_expiration_days: int | None
    enforce_encrypted_bundles: bool
    required_encryption_key: str | None
    has_usage_credits: bool
    onboarding: dict[str, Any]


class OrganizationCreated(Struct, frozen=True, kw_only=True):
    status: str = "Organization created"
    id: str


class OrganizationUpdated(Struct, frozen=True, kw_only=True):
    status: str = "Organization updated"
    id: str
    data: WholeOrganization


class OrganizationList(Struct, frozen=True, rename={"org_id": "orgId"}):
    org_id: str | None = None
    page: PageNumber = 0


class OrganizationChoice(Struct, frozen=True, rename={"org_id": "orgId"}):
    org_id: str | None = None


class PasswordPolicy(Struct, frozen=True):
    """What passwords of members must be like; `min_length` counts characters."""

    enabled: bool
    min_length: Annotated[int, Meta(ge=6, le=72)]
    require_uppercase: bool
    require_number: bool
    require_special: bool


class OrganizationWrite(Struct, frozen=True, rename={"org_id": "orgId", "estimated_mau": "estimatedMau"}):
    """With `orgId` a change, in which what is left out stays; without it a new organization, which needs a `name`."""

    org_id: str | None = None
    name: str | UnsetType = UNSET
    website: str | UnsetType | None = UNSET
    # Of a new one only:
    email: EmailAddress | None = None
    estimated_mau: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    intent: Literal["ota", "builder", "both", "exploring", "unknown"] | None = None
    # Of a change only:
    logo: str | UnsetType = UNSET
    management_email: EmailAddress | UnsetType = UNSET
    require_apikey_expiration: bool | UnsetType = UNSET
    max_apikey_expiration_days: int | UnsetType | None = UNSET
    enforce_hashed_api_keys: bool | UnsetType = UNSET
    enforce_encrypted_bundles: bool | UnsetType = UNSET
    required_encryption_key: str | UnsetType | None = UNSET
    enforcing_2fa: bool | UnsetType = UNSET
    password_policy_config: PasswordPolicy | UnsetType | None = UNSET


def to_wire(row: RowMapping) -> Organization:
    return Organization(**_members(row, Organization))


def _members(row: RowMapping, kind: type[Organization]) -> dict[str, Any]:
    """A logo that is a path in a store has no address that a client could open, so it is left out."""
    members = {name: row[name] for name in kind.__struct_fields__}
    logo = row["logo"]
    members["logo"] = logo if logo is not None and "://" in logo else None
    return members


def get_organizations(call: ReadCall, given: OrganizationList) -> Organization | list[Organization]:
    if given.org_id:
        return to_wire(service.read(call.session, call.principal, given.org_id))
    rows = service.list_organizations(call.session, call.principal, page=given.page)
    return [to_wire(row) for row in rows]


def post_organization(call: WriteCall, given: OrganizationWrite) -> OrganizationCreated | OrganizationUpdated:
    """Both verbs do both, by what they are given; they differ in how they refuse (CD-13)."""
    website = changes.checked_website(given.website or None)
    if given.org_id:
        if service.permitted(call.session, call.principal, Permission.ORG_UPDATE_SETTINGS, given.org_id) is None:
            raise _permission_denied(Permission.ORG_UPDATE_SETTINGS)
        return _update(call, given.org_id, given, website)
    new = _new_organization(given, website)
    if not changes.may_create(call.session, call.principal):
        raise _permission_denied(Permission.ORG_CREATE)
    return _create(call, new)


def put_organization(call: WriteCall, given: OrganizationWrite) -> OrganizationCreated | OrganizationUpdated:
    if not given.org_id and call.dialect is Dialect.MODERN:
        raise invalid_body("Object missing required field `orgId`")
    website = changes.checked_website(given.website or None)
    if given.org_id:
        if service.permitted(call.session, call.principal, Permission.ORG_UPDATE_SETTINGS, given.org_id) is None:
            message = "You can't access this organization"
            raise Problem("cannot_access_organization", message, more={"orgId": given.org_id})
        return _update(call, given.org_id, given, website)
    new = _new_organization(given, website)
    if isinstance(call.principal, KeyPrincipal) and not changes.may_create(call.session, call.principal):
        raise invalid_body("Object missing required field `orgId`")
    return _create(call, new)


def _permission_denied(permission: Permission) -> Problem:
    return Problem("permission_denied", f"Permission denied: {permission}", status=403)


def _new_organization(given: OrganizationWrite, website: str | None) -> changes.NewOrganization:
    if given.name is UNSET or len(given.name) < changes.MIN_NAME:
        raise invalid_body(f"Expected `str` of length >= {changes.MIN_NAME} - at `$.name`")
    return changes.NewOrganization(changes.checked_name(given.name), given.email, website, given.intent or "unknown")


def _create(call: WriteCall, new: changes.NewOrganization) -> OrganizationCreated:
    return OrganizationCreated(id=changes.create(call.session, call.principal, new)["id"])


def _update(call: WriteCall, org_id: str, given: OrganizationWrite, website: str | None) -> OrganizationUpdated:
    asked = changes.Settings()
    for name in changes.Settings.__annotations__:
        value = getattr(given, name)
        if value is not UNSET:
            asked[name] = msgspec.to_builtins(value)  # type: ignore[literal-required]  # the Struct has these members
    if "website" in asked:
        asked["website"] = website
    row = changes.update(call.session, call.principal, org_id, asked)
    return OrganizationUpdated(id=org_id, data=WholeOrganization(**_members(row, WholeOrganization)))


def delete_organization(call: WriteCall, given: OrganizationChoice) -> Done:
    changes.delete(call.session, call.principal, given.org_id)
    return Done()


_UPDATE_CODES = (
    "org_requires_expiring_key",
    "requires_2fa_to_enforce_2fa",
    "invalid_max_expiration_days",
    "invalid_required_encryption_key",
    "cannot_update_org",
)
_CREATE_CODES = ("cannot_get_user", "cannot_create_org")

ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/organization",
        summary="List organizations, or read one",
        handler=get_organizations,
        input=OrganizationList,
        output=Organization | list[Organization],
        errors=("invalid_org_id", "org_requires_expiring_key"),
        permission="org.read",
        selector="orgId",
        list_parameters=frozenset({"page"}),
    ),
    Endpoint(
        method="POST",
        path="/organization",
        summary="Update an organization, or create one",
        handler=post_organization,
        input=OrganizationWrite,
        output=OrganizationCreated | OrganizationUpdated,
        errors=("permission_denied", *_UPDATE_CODES, *_CREATE_CODES),
        permission="org.update_settings",
        credentials=Credentials.ANY,
        # A new organization that would clash is refused by its own code, so this is for changes.
        refusal="cannot_update_org",
    ),
    Endpoint(
        method="PUT",
        path="/organization",
        summary="Create an organization, or update one",
        handler=put_organization,
        input=OrganizationWrite,
        output=OrganizationCreated | OrganizationUpdated,
        errors=("cannot_access_organization", *_UPDATE_CODES, *_CREATE_CODES),
        permission="org.update_settings",
        credentials=Credentials.ANY,
        refusal="cannot_update_org",
    ),
    Endpoint(
        method="DELETE",
        path="/organization",
        summary="Delete an organization and everything in it",
        handler=delete_organization,
        input=OrganizationChoice,
        errors=("missing_org_id", "invalid_org_id", "cannot_delete_organization"),
        permission="org.delete",
        refusal="cannot_delete_organization",
    ),
)
