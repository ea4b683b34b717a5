"""Wire shapes and routes of members, in both dialects (contract: public 10)."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from capstan.access.modes import Membership, membership
from capstan.members import service
from capstan.organizations.emails import EmailAddress
from capstan.web.endpoint import Credentials, Dialect, Endpoint, ReadCall, WriteCall
from capstan.web.inputs import invalid_body

_ROLES = (
    "`org_member`, `org_billing_admin`, `org_admin` or `org_super_admin`, or an older right, with or without `invite_` "
    "in front: `read`, `upload`, `write`, `admin`, `super_admin`"
)
RoleToGive = Annotated[str, Meta(description=_ROLES)]


class Member(Struct, frozen=True, kw_only=True):
    """Somebody in an organization. `role` is the older right or the name of the role, by dialect; `is_tmp` is true for
    who has not accepted yet."""

    uid: str
    email: str
    image_url: str
    role: str
    is_tmp: bool
    rbac_role_name: str
    legacy_role: str


class InvitedMember(Struct, frozen=True, kw_only=True):
    uid: str
    email: str
    role: str
    image_url: str


class Invited(Struct, frozen=True):
    status: str
    data: InvitedMember


class Removed(Struct, frozen=True):
    status: str


class MemberList(Struct, frozen=True, rename={"org_id": "orgId"}):
    org_id: str


class Invitation(Struct, frozen=True, rename={"org_id": "orgId"}):
    """`role` is another name for `invite_type` (CD-17)."""

    org_id: str
    email: EmailAddress
    invite_type: RoleToGive | None = None
    role: RoleToGive | None = None


class Removal(Struct, frozen=True, rename={"org_id": "orgId"}):
    org_id: str
    email: EmailAddress


def get_members(call: ReadCall, given: MemberList) -> list[Member]:
    members = service.list_members(call.session, call.principal, given.org_id)
    return [
        Member(
            uid=member.user_id,
            email=member.email,
            image_url=member.image_url,
            role=_role(member, call.dialect),
            is_tmp=member.is_pending,
            rbac_role_name=member.role_name,
            legacy_role=member.legacy_role,
        )
        for member in members
    ]


def post_member(call: WriteCall, given: Invitation) -> Invited:
    member = service.invite(call.session, call.principal, given.org_id, given.email, _membership(given))
    invited = InvitedMember(
        uid=member.user_id, email=member.email, role=_role(member, call.dialect), image_url=member.image_url
    )
    return Invited(_acknowledgement(call.dialect), invited)


def delete_member(call: WriteCall, given: Removal) -> Removed:
    service.remove(call.session, call.principal, given.org_id, given.email)
    return Removed(_acknowledgement(call.dialect))


def _membership(given: Invitation) -> Membership:
    wanted = membership(given.invite_type or given.role or "")
    if wanted is None:
        raise invalid_body("Expected a role - at `$.invite_type`")
    return wanted


def _role(member: service.Member, dialect: Dialect) -> str:
    return member.legacy_role if dialect is Dialect.SEED else member.role_name


def _acknowledgement(dialect: Dialect) -> str:
    return "OK" if dialect is Dialect.SEED else "ok"


ENDPOINTS = (
    Endpoint(
        method="GET",
        path="/organization/members",
        summary="List the members of an organization",
        handler=get_members,
        input=MemberList,
        output=list[Member],
        errors=("cannot_access_organization", "org_requires_expiring_key"),
        permission="org.read_members",
    ),
    Endpoint(
        method="POST",
        path="/organization/members",
        summary="Invite somebody who has an account",
        handler=post_member,
        input=Invitation,
        output=Invited,
        errors=("cannot_access_organization", "error_inviting_user_to_organization"),
        permission="org.invite_user",
        refusal="error_inviting_user_to_organization",
    ),
    Endpoint(
        method="DELETE",
        path="/organization/members",
        summary="Remove a member, or leave an organization",
        handler=delete_member,
        input=Removal,
        output=Removed,
        errors=(
            "cannot_access_organization",
            "user_not_found",
            "organization_member_not_found",
            "cannot_delete_higher_priority_role",
            "CANNOT_REMOVE_LAST_SUPER_ADMIN",
            "error_deleting_user_from_organization",
        ),
        permission="org.update_user_roles",
        credentials=Credentials.ANY,
        refusal="error_deleting_user_from_organization",
    ),
)
