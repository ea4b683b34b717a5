"""People with accounts, signed in, and what they hold: for tests of everything that people may do and keys may not."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import insert

from capstan.access.principal import Binding
from capstan.apikeys.service import binding_row
from capstan.db.tables import org_users, role_bindings, users
from tests.public_api.plane import Caller
from tests.public_api.world import ORG, OWNER, SYSTEM, World


@dataclass(frozen=True)
class Person:
    """`calls` asks with the person's session."""

    user_id: str
    email: str
    calls: Caller


def sign_in(world: World, user_id: str) -> Caller:
    return world.owner.with_headers({"authorization": f"Bearer session.{user_id}.test"})


def add_person(world: World, email: str, *bindings: Binding) -> Person:
    """Somebody who is a member wherever a binding on an organization says so."""
    user_id = str(uuid.uuid4())
    with world.registry.write(SYSTEM) as session:
        dates = {"created_at": session.now, "updated_at": session.now}
        session.run(insert(users).values(id=user_id, email=email, **dates))
    give(world, user_id, *bindings)
    return Person(user_id, email, sign_in(world, user_id))


def make_owner(world: World, org_id: str = ORG) -> Person:
    """The world's owner as a person, super administrator of an organization."""
    give(world, OWNER, Binding.on_org("org_super_admin", org_id))
    return Person(OWNER, "owner@example.com", sign_in(world, OWNER))


def give(world: World, user_id: str, *bindings: Binding) -> None:
    with world.registry.write(SYSTEM) as session:
        dates = {"created_at": session.now, "updated_at": session.now}
        for binding in bindings:
            session.run(insert(role_bindings).values(binding_row(session, "user", user_id, binding)))
            if binding.scope_type == "org":
                member = {"user_id": user_id, "org_id": binding.org_id, "rbac_role_name": binding.role, **dates}
                session.run(insert(org_users).values(member))
