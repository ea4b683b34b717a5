"""Which keys may be used as sub-keys (contract: public 3.5, step 3)."""

from __future__ import annotations

import pytest

from capstan.access.principal import Binding
from capstan.access.subkeys import is_limited
from tests.access.who import NOW, PAST, on_app, on_channel, on_org, until

ADMIN_OF_BOTH = (on_org("org_super_admin"), on_org("org_admin", "org-b"))


@pytest.mark.parametrize(
    ("bindings", "limited"),
    [
        ((), False),
        ((until(on_app("app_reader"), PAST),), False),
        (ADMIN_OF_BOTH, False),
        ((*ADMIN_OF_BOTH, on_app("app_reader")), True),
        ((*ADMIN_OF_BOTH, on_channel("channel_reader")), True),
        ((*ADMIN_OF_BOTH, until(on_app("app_reader"), PAST)), False),
        ((on_org("org_super_admin"),), True),
        ((on_org("org_super_admin"), on_org("org_member", "org-b")), True),
        ((on_org("org_super_admin"), until(on_org("org_admin", "org-b"), PAST)), True),
        ((on_org("key_mode_write"), on_org("key_mode_write", "org-b")), True),
    ],
)
def test_a_key_is_limited_when_it_can_do_less_than_an_administrator_of_all_its_owners_organizations(
    bindings: tuple[Binding, ...], limited: bool
) -> None:
    assert is_limited(bindings, {"org-a", "org-b"}, NOW) is limited


def test_a_key_without_administration_is_limited_even_when_its_owner_has_no_organization() -> None:
    assert is_limited([on_org("org_member")], set(), NOW)
    assert not is_limited([on_org("org_admin")], set(), NOW)
