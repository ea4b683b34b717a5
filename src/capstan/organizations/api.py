"""Wire shapes and routes of organizations (contract: public 9)."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct
from sqlalchemy import RowMapping

from capstan.organizations import service
from capstan.web.endpoint import Endpoint, ReadCall
from capstan.web.inputs import PageNumber


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


class OrganizationList(Struct, frozen=True, rename={"org_id": "orgId"}):
    org_id: str | None = None
    page: PageNumber = 0


def to_wire(row: RowMapping) -> Organization:
    """A logo that is a path in a store has no address that a client could open, so it is left out."""
    members = {name: row[name] for name in Organization.__struct_fields__}
    logo = row["logo"]
    members["logo"] = logo if logo is not None and "://" in logo else None
    return Organization(**members)


def get_organizations(call: ReadCall, given: OrganizationList) -> Organization | list[Organization]:
    if given.org_id:
        return to_wire(service.read(call.session, call.principal, given.org_id))
    rows = service.list_organizations(call.session, call.principal, page=given.page)
    return [to_wire(row) for row in rows]


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
)
