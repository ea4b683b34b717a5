"""The rules of members: who sees, invites and removes whom (contract: public 10).

Nobody gives or takes away a role above the own, and an organization is never left without a super administrator.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy import RowMapping

from capstan.access.check import allowed, top_rank
from capstan.access.modes import Membership, member_right
from capstan.access.permissions import Permission
from capstan.access.principal import Binding, OrgScope, Principal, UserPrincipal
from capstan.access.roles import ROLES, RoleName
from capstan.apikeys.service import binding_row, bindings_of
from capstan.audit import service as audit
from capstan.db.session import ReadSession, WriteSession
from capstan.errors import Problem
from capstan.members import store
from capstan.organizations import service as organizations


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in an organization. `legacy_role` is the role in the older tongue, `invite_…` while it is pending."""

    user_id: str
    email: str
    image_url: str
    role_name: str
    legacy_role: str
    is_pending: bool


def list_members(session: ReadSession, principal: Principal, org_id: str) -> list[Member]:
    """Everybody in an organization. Raises Problem `cannot_access_organization` or `org_requires_expiring_key`."""
    org = organizations.permitted(session, principal, Permission.ORG_READ_MEMBERS, org_id)
    if org is None:
        raise _no_access(org_id)
    organizations.refuse_lasting_key(principal, org)
    on_apps: dict[str, list[str]] = defaultdict(list)
    for row in store.app_roles(session, org_id):
        on_apps[row["principal_id"]].append(row["role_name"])
    return [_member(row, on_apps[row["user_id"]]) for row in store.of_org(session, org_id)]


def invite(session: WriteSession, principal: Principal, org_id: str, email: str, wanted: Membership) -> Member:
    """Invite somebody who has an account; the invitation gives nothing until it is accepted.

    Raises Problem `cannot_access_organization` or `error_inviting_user_to_organization`.
    """
    if not allowed(principal, Permission.ORG_INVITE_USER, OrgScope(org_id), session.now):
        raise _no_access(org_id)
    if not _may_give(session, principal, org_id, wanted.org_role):
        raise _not_invited("NO_RIGHTS")
    account = store.find_account(session, email)
    if account is None:
        raise _not_invited("NO_EMAIL")
    row = store.insert_member(
        session,
        {
            "user_id": account["id"],
            "org_id": org_id,
            "rbac_role_name": wanted.org_role,
            "is_invite": True,
            "invited_app_role": wanted.app_role,
            "created_at": session.now,
            "updated_at": session.now,
        },
    )
    if row is None:
        raise _not_invited("ALREADY_INVITED")
    audit.inserted(session, "org_users", org_id, row)
    placeholder = replace(Binding.on_org(wanted.org_role, org_id), expires_at=session.now)
    binding = binding_row(session, "user", account["id"], placeholder, reason="Pending invitation")
    store.insert_binding(session, binding)
    found = store.find(session, org_id, account["id"])
    assert found is not None, "it was inserted in this transaction"
    return _member(found, ())


def remove(session: WriteSession, principal: Principal, org_id: str, email: str) -> None:
    """Remove a member, or an invitation, with all that the person and the person's keys hold in the organization.

    A person may always leave. Raises Problem as contract public 10.3 lists, in its order.
    """
    leaves = _leaves(session, principal, org_id, email)
    if not leaves and not allowed(principal, Permission.ORG_UPDATE_USER_ROLES, OrgScope(org_id), session.now):
        raise _no_access(org_id)
    account = store.find_account(session, email)
    if account is None:
        raise Problem("user_not_found", "User not found", status=404)
    store.lock_org(session, org_id)
    if store.find(session, org_id, account["id"]) is None:
        more = {"orgId": org_id, "email": email}
        raise Problem("organization_member_not_found", "Member not found in this organization", status=404, more=more)
    target = UserPrincipal(account["id"], account["email"], bindings_of(session, account["id"]))
    rank = top_rank(target, org_id, session.now)
    if not leaves and rank > top_rank(principal, org_id, session.now):
        message = "You cannot remove a member who stands above you"
        raise Problem("cannot_delete_higher_priority_role", message, status=403)
    is_super_admin = rank == ROLES[RoleName.ORG_SUPER_ADMIN].rank
    if is_super_admin and not store.has_other_super_admin(session, org_id, account["id"]):
        message = "Cannot remove the last super admin from the organization"
        raise Problem("CANNOT_REMOVE_LAST_SUPER_ADMIN", message)
    store.delete_bindings(session, org_id, account["id"])
    audit.deleted(session, "org_users", org_id, store.delete_member(session, org_id, account["id"]))


def _may_give(session: ReadSession, principal: Principal, org_id: str, role: RoleName) -> bool:
    if role is RoleName.ORG_SUPER_ADMIN and not allowed(
        principal, Permission.ORG_UPDATE_USER_ROLES, OrgScope(org_id), session.now
    ):
        return False
    return ROLES[role].rank <= top_rank(principal, org_id, session.now)


def _leaves(session: ReadSession, principal: Principal, org_id: str, email: str) -> bool:
    """Whether a person asks to leave an organization. Where the person is not, this must not tell if there is one."""
    if not isinstance(principal, UserPrincipal) or principal.email.lower() != email.lower():
        return False
    return store.find(session, org_id, principal.user_id) is not None


def _member(row: RowMapping, app_roles: Iterable[str]) -> Member:
    roles = [row["rbac_role_name"], *app_roles]
    if row["is_invite"] and row["invited_app_role"]:
        roles.append(row["invited_app_role"])
    return Member(
        user_id=row["user_id"],
        email=row["email"],
        image_url=row["image_url"] or "",
        role_name=row["rbac_role_name"],
        legacy_role=member_right(roles, pending=row["is_invite"]),
        is_pending=row["is_invite"],
    )


def _no_access(org_id: str) -> Problem:
    return Problem("cannot_access_organization", "You can't access this organization", more={"orgId": org_id})


def _not_invited(reason: str) -> Problem:
    more = {"data": reason}
    return Problem("error_inviting_user_to_organization", "Error inviting user to organization", more=more)
