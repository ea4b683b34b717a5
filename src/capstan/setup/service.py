"""The rules of a beginning: one owner, once, and credentials that nobody has used yet may be asked for again.

The installation row is the guard. A server's first start makes it (`first_start`), and whoever runs `capstan setup`
claims it (`claim`), in either order: a script that starts the server first must not be locked out by it. Until then the
first credentials are *unclaimed*, and to claim them gives a new password and a second API key. Afterwards only
`reset_password` and new keys help.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import RowMapping

from capstan.access.keys import SecretBox
from capstan.access.passwords import first_password, hash_password
from capstan.access.principal import Binding
from capstan.access.roles import RoleName
from capstan.apikeys import service as apikeys
from capstan.audit import service as audit
from capstan.db.session import ReadSession, WriteSession
from capstan.setup import store

DEFAULT_EMAIL = "owner@localhost"
DEFAULT_ORGANIZATION = "My organization"
MIN_PASSWORD = 8
MAX_PASSWORD = 1000

_MAX_EMAIL = 254
_FIRST_KEY = "First key"
_SETUP_KEY = "Setup key"
# Contract: public 7.1.
_EMAIL_PREFERENCES = (
    "onboarding",
    "usage_limit",
    "credit_usage",
    "device_error",
    "weekly_stats",
    "monthly_stats",
    "bundle_created",
    "bundle_deployed",
    "deploy_stats_24h",
    "billing_period_stats",
    "channel_self_rejected",
)


class SetupRefused(Exception):  # noqa: N818 - a refusal told to the operator, not a programming error
    """What was asked cannot be done; its text is one sentence for the operator."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The wishes for the first owner. None: the default, or on a claim what it is already. Without a password one is
    made."""

    email: str | None = None
    organization: str | None = None
    password: str | None = None


@dataclass(frozen=True, slots=True)
class Credentials:
    """The first owner with everything secret, to be shown once. `password` is None if the operator chose it."""

    organization_id: str
    organization: str
    user_id: str
    email: str
    password: str | None
    api_key: str
    api_key_id: int


@dataclass(frozen=True, slots=True)
class Home:
    """Whom new keys belong to unless said otherwise: the first owner and the first organization."""

    user_id: str
    org_id: str


def first_start(session: WriteSession, box: SecretBox) -> Credentials | None:
    """Make the first owner with unclaimed credentials; None if there is an installation already."""
    return _begin(session, box, Owner(), _FIRST_KEY)


def claim(session: WriteSession, box: SecretBox, owner: Owner) -> Credentials:
    """Make the first owner, or issue new credentials for one that was never claimed.

    Raises SetupRefused for an installation that is claimed, and for wishes that cannot be met.
    """
    begun = _begin(session, box, owner, _SETUP_KEY)
    if not store.mark_claimed(session):
        raise SetupRefused(
            "This installation is set up already; `capstan user reset-password EMAIL` gives a new password, "
            "`capstan key create --mode all` a new API key."
        )
    return begun or _take_over(session, box, owner)


def reset_password(session: WriteSession, email: str, password: str | None) -> tuple[RowMapping, str | None]:
    """Give a user a new password: the user, and the password if it was made here. Raises SetupRefused."""
    row = user_by_email(session, email)
    made, password_hash = _password(password)
    store.update_user(session, row["id"], {"password_hash": password_hash})
    return row, made


def user_by_email(session: ReadSession, email: str) -> RowMapping:
    """A user by address. Raises SetupRefused."""
    row = store.find_user_by_email(session, email.strip())
    if row is None:
        home = find_home(session)
        owner = store.find_user(session, home.user_id) if home else None
        known = f"; the owner is {owner['email']}" if owner else ""
        raise SetupRefused(f"There is no user {email}{known}.")
    return row


def find_home(session: ReadSession) -> Home | None:
    """The first owner and organization; None before the first start."""
    row = store.find_installation(session)
    return Home(row["owner_user_id"], row["org_id"]) if row is not None else None


def checked_org(session: ReadSession, org_id: str) -> RowMapping:
    """An organization by id. Raises SetupRefused."""
    row = store.find_org(session, org_id)
    if row is None:
        raise SetupRefused(f"There is no organization {org_id}.")
    return row


def _begin(session: WriteSession, box: SecretBox, owner: Owner, key_name: str) -> Credentials | None:
    user_id, org_id = str(uuid.uuid4()), str(uuid.uuid4())
    facts = {"owner_user_id": user_id, "org_id": org_id, "created_at": session.now}
    if not store.insert_installation(session, facts):
        return None
    email = _checked_email(session, owner.email or DEFAULT_EMAIL)
    organization = _checked_name(owner.organization or DEFAULT_ORGANIZATION)
    password, password_hash = _password(owner.password)
    dates = {"created_at": session.now, "updated_at": session.now}
    store.insert_user(session, {"id": user_id, "email": email, "password_hash": password_hash, **dates})
    _insert_org(session, org_id, user_id, organization, email)
    key = apikeys.create_with_mode(session, box, user_id=user_id, org_id=org_id, mode="all", name=key_name)
    return Credentials(org_id, organization, user_id, email, password, key.secret, key.key_id)


def _insert_org(session: WriteSession, org_id: str, user_id: str, name: str, email: str) -> None:
    """An organization with its creator as super admin (contract: public 7.1)."""
    dates = {"created_at": session.now, "updated_at": session.now}
    org = {
        "id": org_id,
        "created_by": user_id,
        "name": name,
        "management_email": email,
        "email_preferences": dict.fromkeys(_EMAIL_PREFERENCES, True),
        "onboarding": {"intent": "unknown"},
        **dates,
    }
    audit.inserted(session, "orgs", org_id, store.insert_org(session, org))
    role = RoleName.ORG_SUPER_ADMIN
    member = {"user_id": user_id, "org_id": org_id, "rbac_role_name": role, **dates}
    audit.inserted(session, "org_users", org_id, store.insert_member(session, member))
    store.insert_binding(session, apikeys.binding_row(session, "user", user_id, Binding.on_org(role, org_id)))


def _take_over(session: WriteSession, box: SecretBox, owner: Owner) -> Credentials:
    row = store.find_installation(session)
    assert row is not None, "an installation that could not be begun exists"
    user = store.find_user(session, row["owner_user_id"])
    org = store.find_org(session, row["org_id"])
    if user is None or org is None:
        raise SetupRefused("The first owner or organization was deleted, so there is nothing left to set up.")
    email = _checked_email(session, owner.email, except_for=user["id"]) if owner.email else user["email"]
    organization = _checked_name(owner.organization) if owner.organization else org["name"]
    password, password_hash = _password(owner.password)
    store.update_user(session, user["id"], {"email": email, "password_hash": password_hash})
    if (organization, email) != (org["name"], org["management_email"]):
        renamed = store.update_org(session, org["id"], {"name": organization, "management_email": email})
        audit.updated(session, "orgs", org["id"], org, renamed)
    key = apikeys.create_with_mode(session, box, user_id=user["id"], org_id=org["id"], mode="all", name=_SETUP_KEY)
    return Credentials(org["id"], organization, user["id"], email, password, key.secret, key.key_id)


def _checked_email(session: ReadSession, email: str, *, except_for: str | None = None) -> str:
    email = email.strip().lower()
    name, at, host = email.partition("@")
    if not (name and at and host) or len(email) > _MAX_EMAIL or any(one.isspace() or one in "<>@" for one in host):
        raise SetupRefused(f"{email!r} is not an email address such as owner@example.org.")
    other = store.find_user_by_email(session, email)
    if other is not None and other["id"] != except_for:
        raise SetupRefused(f"There is a user {email} already; name another address with --email.")
    return email


def _checked_name(name: str) -> str:
    name = name.strip()
    if not name or any(one in "<>" or not one.isprintable() for one in name):
        raise SetupRefused("The name of an organization is one line of text without < and >.")
    return name


def _password(chosen: str | None) -> tuple[str | None, str]:
    """The password if it is made here, and the hash to store. Raises SetupRefused for a bad choice."""
    if chosen is not None and not MIN_PASSWORD <= len(chosen) <= MAX_PASSWORD:
        raise SetupRefused(f"A password has {MIN_PASSWORD} to {MAX_PASSWORD} characters.")
    made = first_password() if chosen is None else None
    return made, hash_password(chosen or made or "")
