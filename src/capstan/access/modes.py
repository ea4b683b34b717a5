"""The older tongue: key modes and member rights, translated to role bindings and back (contract: public 8.3 to 8.5).

Going there, a mode or a right becomes bindings that are stored. Coming back, bindings are shown as the mode or right
that fits them best; the way back is lossy for roles that the older tongue has no word for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from capstan.access.permissions import Permission
from capstan.access.principal import Binding, KeyMode
from capstan.access.roles import ROLES, RoleName

MemberRight = Literal["read", "upload", "write", "admin", "super_admin"]
"""What a member may do, from least to most."""

KEY_MODES: tuple[KeyMode, ...] = get_args(KeyMode)

_ORG_ROLE_OF_MODE: Mapping[KeyMode, RoleName] = {
    "read": RoleName.KEY_MODE_READ,
    "upload": RoleName.KEY_MODE_UPLOAD,
    "write": RoleName.KEY_MODE_WRITE,
}

_APP_ROLE_OF_MODE: Mapping[KeyMode, RoleName] = {
    "read": RoleName.APP_READER,
    "upload": RoleName.APP_UPLOADER,
    "write": RoleName.KEY_MODE_APP_WRITE,
    "all": RoleName.APP_ADMIN,
}

_MODE_OF_ROLE: Mapping[str, KeyMode] = {
    RoleName.ORG_SUPER_ADMIN: "all",
    RoleName.ORG_ADMIN: "all",
    RoleName.APP_ADMIN: "all",
    RoleName.APP_DEVELOPER: "write",
    RoleName.KEY_MODE_WRITE: "write",
    RoleName.KEY_MODE_APP_WRITE: "write",
    RoleName.APP_UPLOADER: "upload",
    RoleName.APP_PREVIEW: "upload",
    RoleName.KEY_MODE_UPLOAD: "upload",
}

_RIGHT_OF_ROLE: Mapping[str, MemberRight] = {
    RoleName.ORG_SUPER_ADMIN: "super_admin",
    RoleName.ORG_ADMIN: "admin",
    RoleName.APP_ADMIN: "write",
    RoleName.APP_DEVELOPER: "write",
    RoleName.APP_UPLOADER: "upload",
    RoleName.APP_PREVIEW: "upload",
}

_RIGHTS: tuple[MemberRight, ...] = get_args(MemberRight)


def org_mode_role(mode: KeyMode, creator_rank: int) -> RoleName | None:
    """The role on an organization for a key of this mode without app limits (contract: public 8.4, CD-11).

    `creator_rank` is the top rank of whoever creates the key in that organization. Mode `all` gives what the creator
    is, at most; None means that the creator stands too low to give it at all.
    """
    if mode != "all":
        return _ORG_ROLE_OF_MODE[mode]
    for name in (RoleName.ORG_SUPER_ADMIN, RoleName.ORG_ADMIN):
        if ROLES[name].rank <= creator_rank:
            return name
    return None


def app_mode_bindings(mode: KeyMode, org_id: str, apps: Mapping[str, str]) -> tuple[Binding, ...]:
    """The bindings of a key of this mode that is limited to `apps` (text id → `apps.id`) of one organization."""
    return (
        Binding.on_org(RoleName.APIKEY_ORG_READER, org_id),
        *Binding.on_apps(_APP_ROLE_OF_MODE[mode], org_id, apps),
    )


def mode_global_permissions(
    mode: KeyMode, *, limited_to_apps: bool, creator_may_create_orgs: bool
) -> frozenset[Permission]:
    """What a key created with a mode may do beyond any organization (contract: public CD-14)."""
    if mode == "all" and not limited_to_apps and creator_may_create_orgs:
        return frozenset({Permission.ORG_CREATE})
    return frozenset()


def key_mode(created: KeyMode | None, bindings: Iterable[Binding], now: datetime) -> KeyMode:
    """The mode to show for a key: the one it was created with, else the one its live bindings come nearest to."""
    if created is not None:
        return created
    modes = {_MODE_OF_ROLE.get(binding.role, "read") for binding in bindings if binding.is_live(now)}
    return max(modes, key=KEY_MODES.index, default="read")


def limited_to_orgs(bindings: Iterable[Binding], now: datetime) -> tuple[str, ...]:
    """The organizations that live bindings are in, each once, in the order of the bindings."""
    return tuple(dict.fromkeys(binding.org_id for binding in bindings if binding.is_live(now)))


def limited_to_apps(bindings: Iterable[Binding], now: datetime) -> tuple[str, ...]:
    """The text ids of the apps that live bindings are on, each once, in the order of the bindings."""
    return tuple(
        dict.fromkeys(
            binding.app_id
            for binding in bindings
            if binding.scope_type == "app" and binding.app_id and binding.is_live(now)
        )
    )


@dataclass(frozen=True, slots=True)
class Membership:
    """What a member is given: a role on the organization, and a role on every app that it has at that moment."""

    org_role: RoleName
    app_role: RoleName | None = None

    def bindings(self, org_id: str, apps: Mapping[str, str]) -> tuple[Binding, ...]:
        """The bindings to store; `apps` maps the text ids of the organization's apps to `apps.id`."""
        on_org = Binding.on_org(self.org_role, org_id)
        if self.app_role is None:
            return (on_org,)
        return (on_org, *Binding.on_apps(self.app_role, org_id, apps))


_MEMBERSHIP_OF_RIGHT: Mapping[str, Membership] = {
    "read": Membership(RoleName.ORG_MEMBER, RoleName.APP_READER),
    "upload": Membership(RoleName.ORG_MEMBER, RoleName.APP_UPLOADER),
    "write": Membership(RoleName.ORG_MEMBER, RoleName.APP_DEVELOPER),
    "admin": Membership(RoleName.ORG_ADMIN),
    "super_admin": Membership(RoleName.ORG_SUPER_ADMIN),
}

_MEMBERSHIP_OF_ROLE: Mapping[str, Membership] = {
    role: Membership(role)
    for role in (
        RoleName.ORG_MEMBER,
        RoleName.ORG_BILLING_ADMIN,
        RoleName.ORG_ADMIN,
        RoleName.ORG_SUPER_ADMIN,
    )
}


def membership(name: str) -> Membership | None:
    """What a member role stands for: a role on the organization, or an older right with or without `invite_`.

    None for a name that cannot be given to a person (contract: public 10.2, CD-17).
    """
    return _MEMBERSHIP_OF_ROLE.get(name) or _MEMBERSHIP_OF_RIGHT.get(name.removeprefix("invite_"))


def member_right(roles: Iterable[str], *, pending: bool = False) -> str:
    """The older right to show for a member with these roles (contract: public 8.5): the best of them, at least `read`.

    With `pending` the right of somebody who has not accepted yet, `invite_` in front.
    """
    rights = (_RIGHT_OF_ROLE.get(role, "read") for role in roles)
    best = max(rights, key=_RIGHTS.index, default="read")
    return f"invite_{best}" if pending else best
