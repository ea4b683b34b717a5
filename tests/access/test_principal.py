"""Whom the audit log names."""

from __future__ import annotations

from capstan.access.principal import Actor, Anonymous, SystemPrincipal, actor_of
from tests.access.who import key, user


def test_a_person_is_named_without_a_key() -> None:
    assert actor_of(user()) == Actor("user", "user-1", "ann@example.com")


def test_a_key_is_named_together_with_its_owner() -> None:
    assert actor_of(key()) == Actor("apikey", "user-1", "ann@example.com", 7, "deploys")


def test_the_server_names_nobody() -> None:
    assert actor_of(SystemPrincipal("retention")) == Actor("system")
    assert actor_of(Anonymous()) == Actor("unknown")
