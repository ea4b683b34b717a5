"""An installation begins once, and its first credentials can be asked for again until somebody claims them."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from sqlalchemy import delete, insert, select

from capstan.access.check import allowed
from capstan.access.passwords import verify_password
from capstan.access.permissions import Permission
from capstan.access.principal import AppScope, Installation, KeyPrincipal, OrgScope, SystemPrincipal
from capstan.apikeys import service as apikeys
from capstan.db.tables import audit_logs, installation, org_users, orgs, users
from capstan.settings import load
from capstan.setup.service import (
    Credentials,
    Owner,
    SetupRefused,
    claim,
    find_home,
    first_start,
    reset_password,
    user_by_email,
)
from capstan.stores import Stores, open_stores
from tests.databases import DatabaseUrls

OPERATOR = SystemPrincipal("test")


@pytest.fixture(scope="module")
def opened(database_urls: DatabaseUrls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    flags = {**database_urls.flags, "data_dir": str(tmp_path_factory.mktemp("data"))}
    with open_stores(load(flags, {})) as stores:
        yield stores


@pytest.fixture
def stores(opened: Stores) -> Stores:
    """Opened stores without an installation."""
    with opened.registry.write(OPERATOR) as session:
        for table in (installation, orgs, users, audit_logs):
            session.run(delete(table))
    return opened


def start(stores: Stores) -> Credentials | None:
    with stores.registry.write(OPERATOR) as session:
        return first_start(session, stores.secret_box)


def claimed(stores: Stores, owner: Owner | None = None) -> Credentials:
    with stores.registry.write(OPERATOR) as session:
        return claim(session, stores.secret_box, owner or Owner())


def principal(stores: Stores, secret: str) -> KeyPrincipal | None:
    with stores.registry.read() as session:
        return apikeys.principal_of_secret(session, secret)


def accepts(stores: Stores, user_id: str, password: str) -> bool:
    with stores.registry.read() as session:
        return verify_password(session.scalar(select(users.c.password_hash).where(users.c.id == user_id)), password)


def test_the_first_start_makes_an_owner_whose_key_and_password_work(stores: Stores) -> None:
    made = start(stores)
    assert made is not None
    key = principal(stores, made.api_key)
    assert key is not None
    with stores.registry.read() as session:
        for permission in (Permission.ORG_DELETE, Permission.ORG_CREATE_APP):
            assert allowed(key, permission, OrgScope(made.organization_id), session.now)
        assert allowed(key, Permission.APP_DELETE, AppScope(made.organization_id, "com.example.any"), session.now)
        assert allowed(key, Permission.ORG_CREATE, Installation(), session.now)
    assert made.password is not None
    assert accepts(stores, made.user_id, made.password)


def test_the_owner_is_super_admin_of_an_organization_as_the_contract_has_it(stores: Stores) -> None:
    made = start(stores)
    assert made is not None
    with stores.registry.read() as session:
        org = session.first(select(orgs))
        member = session.first(select(org_users))
        bindings = apikeys.bindings_of(session, made.user_id)
    assert org is not None
    assert (org["id"], org["created_by"], org["customer_id"]) == (made.organization_id, made.user_id, None)
    assert org["management_email"] == made.email
    assert org["onboarding"] == {"intent": "unknown"}
    assert len(org["email_preferences"]) == 11
    assert set(org["email_preferences"].values()) == {True}
    assert member is not None
    assert (member["user_id"], member["rbac_role_name"], member["is_invite"]) == (
        made.user_id,
        "org_super_admin",
        False,
    )
    assert [(one.role, one.org_id) for one in bindings] == [("org_super_admin", made.organization_id)]


def test_the_beginning_is_in_the_audit_log(stores: Stores) -> None:
    start(stores)
    with stores.registry.read() as session:
        entries = session.rows(select(audit_logs).order_by(audit_logs.c.id))
    told = [(entry["table_name"], entry["operation"], entry["actor_type"]) for entry in entries]
    assert told == [("orgs", "INSERT", "system"), ("org_users", "INSERT", "system")]


def test_a_second_start_makes_nothing(stores: Stores) -> None:
    start(stores)
    assert start(stores) is None


def test_credentials_of_a_first_start_can_be_claimed_once(stores: Stores) -> None:
    first = start(stores)
    second = claimed(stores)
    assert first is not None
    assert (second.user_id, second.organization_id) == (first.user_id, first.organization_id)
    assert second.password is not None
    assert first.password is not None
    assert accepts(stores, second.user_id, second.password)
    assert not accepts(stores, second.user_id, first.password)
    assert principal(stores, second.api_key) is not None
    assert principal(stores, first.api_key) is not None
    with pytest.raises(SetupRefused, match="set up already"):
        claimed(stores)


def test_a_refused_claim_changes_nothing(stores: Stores) -> None:
    made = claimed(stores)
    with pytest.raises(SetupRefused):
        claimed(stores, Owner(password="another password"))
    assert made.password is not None
    assert accepts(stores, made.user_id, made.password)


def test_setup_before_the_first_start_is_the_beginning(stores: Stores) -> None:
    made = claimed(stores, Owner("Boss@Example.org", "Acme", "correct horse"))
    assert (made.email, made.organization, made.password) == ("boss@example.org", "Acme", None)
    assert accepts(stores, made.user_id, "correct horse")
    assert start(stores) is None


def test_a_claim_may_rename_owner_and_organization(stores: Stores) -> None:
    start(stores)
    made = claimed(stores, Owner("boss@example.org", "Acme"))
    with stores.registry.read() as session:
        org = session.first(select(orgs))
        changed = session.scalar(select(audit_logs.c.changed_fields).where(audit_logs.c.operation == "UPDATE"))
        assert session.scalar(select(users.c.email)) == "boss@example.org"
    assert org is not None
    assert (org["id"], org["name"], org["management_email"]) == (made.organization_id, "Acme", "boss@example.org")
    assert changed == ["management_email", "name", "updated_at"]


@pytest.mark.parametrize(
    ("owner", "sentence"),
    [
        (Owner(email="nobody"), "is not an email address"),
        (Owner(email="a@b c.org"), "is not an email address"),
        (Owner(organization="  "), "one line of text"),
        (Owner(organization="<b>Acme</b>"), "without < and >"),
        (Owner(password="short"), "8 to 1000 characters"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused_in_a_sentence(stores: Stores, owner: Owner, sentence: str) -> None:
    with pytest.raises(SetupRefused, match=sentence):
        claimed(stores, owner)
    with stores.registry.read() as session:
        assert find_home(session) is None


def test_a_registry_with_organizations_but_no_installation_is_not_set_up(stores: Stores) -> None:
    with stores.registry.write(OPERATOR) as session:
        dates = {"created_at": session.now, "updated_at": session.now}
        session.run(insert(users).values(id="00000000-0000-4000-8000-000000000001", email="Known@example.org", **dates))
    with pytest.raises(SetupRefused, match=r"known@example\.org already"):
        claimed(stores, Owner(email="known@example.org"))
    assert claimed(stores).email == "owner@localhost"


def test_of_many_first_starts_at_once_one_makes_the_owner(stores: Stores) -> None:
    together = threading.Barrier(4)
    made: list[Credentials | None] = []

    def one() -> None:
        together.wait()
        made.append(start(stores))

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(credentials is None for credentials in made) == [False, True, True, True]
    with stores.registry.read() as session:
        assert len(session.rows(select(users))) == 1


def test_of_two_claims_at_once_one_is_refused(stores: Stores) -> None:
    start(stores)
    together = threading.Barrier(2)
    ends: list[str] = []

    def one() -> None:
        together.wait()
        try:
            ends.append(claimed(stores).email)
        except SetupRefused:
            ends.append("refused")

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ends) == ["owner@localhost", "refused"]


def test_a_password_is_reset_by_address_in_whatever_capitals(stores: Stores) -> None:
    made = claimed(stores)
    with stores.registry.write(OPERATOR) as session:
        user, password = reset_password(session, "Owner@LocalHost", None)
    assert user["id"] == made.user_id
    assert password is not None
    assert accepts(stores, made.user_id, password)


def test_an_unknown_address_is_told_who_the_owner_is(stores: Stores) -> None:
    claimed(stores)
    with stores.registry.read() as session, pytest.raises(SetupRefused, match="the owner is owner@localhost"):
        user_by_email(session, "who@example.org")
