"""Several changes of one organization at once: whoever comes second meets what the first has done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy.exc import IntegrityError

from capstan.access.modes import Membership
from capstan.access.principal import Binding, Principal, UserPrincipal
from capstan.access.roles import RoleName
from capstan.apps import service as apps_service
from capstan.db.session import WriteSession
from capstan.db.tables import apps, org_users, orgs, role_bindings
from capstan.errors import Problem
from capstan.members import service as members
from capstan.organizations import changes
from tests.members.people import Person, add_person
from tests.public_api.world import ORG, SYSTEM, World

Work = Callable[[WriteSession], object]


def outcomes(world: World, actor: Principal, works: Sequence[Work]) -> list[str]:
    """Do everything at once, each in a transaction of its own: the codes of those that were refused, sorted."""
    barrier = Barrier(len(works))

    def do(work: Work) -> str | None:
        barrier.wait()
        try:
            with world.registry.write(actor) as session:
                work(session)
        except Problem as problem:
            return problem.code
        except IntegrityError:
            return "refused by the database"
        return None

    with ThreadPoolExecutor(len(works)) as pool:
        return sorted(code for code in pool.map(do, works) if code is not None)


def super_admin(person: Person) -> UserPrincipal:
    return UserPrincipal(person.user_id, person.email, (Binding.on_org("org_super_admin", ORG),))


def test_of_super_administrators_who_remove_each_other_one_stays(world: World) -> None:
    role = Binding.on_org("org_super_admin", ORG)
    people = [add_person(world, f"{number}@example.com", role) for number in range(4)]

    def removal(number: int) -> Work:
        next_one = people[(number + 1) % len(people)]
        return lambda session: members.remove(session, super_admin(people[number]), ORG, next_one.email)

    refusals = outcomes(world, SYSTEM, [removal(number) for number in range(len(people))])
    assert refusals == ["CANNOT_REMOVE_LAST_SUPER_ADMIN"]
    (left,) = world.rows(org_users)
    assert left["user_id"] in [row["principal_id"] for row in world.rows(role_bindings)]


def test_somebody_invited_by_several_at_once_is_invited_once(world: World) -> None:
    add_person(world, "ann@example.com")
    wanted = Membership(RoleName.ORG_MEMBER)
    works: list[Work] = [lambda session: members.invite(session, SYSTEM, ORG, "ann@example.com", wanted)] * 4
    assert outcomes(world, SYSTEM, works) == ["error_inviting_user_to_organization"] * 3
    assert len(world.rows(org_users)) == 1


def test_an_organization_created_by_several_at_once_is_created_once(world: World) -> None:
    ann = super_admin(add_person(world, "ann@example.com"))
    works: list[Work] = [lambda session: changes.create(session, ann, changes.NewOrganization("Acme"))] * 4
    assert outcomes(world, ann, works) == ["cannot_create_org"] * 3
    assert [row["name"] for row in world.rows(orgs)].count("Acme") == 1


def test_no_app_survives_the_organization_to_which_it_is_added_while_that_goes(world: World) -> None:
    def addition(number: int) -> Work:
        return lambda session: apps_service.create(
            session, SYSTEM, apps_service.NewApp(f"com.app.n{number}", "New", ORG)
        )

    works = [addition(0), addition(1), lambda session: changes.delete(session, SYSTEM, ORG), addition(2), addition(3)]
    assert set(outcomes(world, SYSTEM, works)) <= {"refused by the database"}
    assert world.rows(apps) == world.rows(orgs) == []
