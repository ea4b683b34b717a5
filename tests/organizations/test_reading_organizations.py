"""GET /organization (contract: public 9.1)."""

from __future__ import annotations

import uuid

from tests.public_api.plane import accepted, refused
from tests.public_api.world import ORG, OWNER, World


def test_one_organization_has_exactly_nine_members(world: World) -> None:
    organization = accepted(world.owner.get("/organization", orgId=ORG))
    assert organization.keys() == {
        "id", "created_by", "created_at", "updated_at", "logo", "name", "management_email", "customer_id", "website",
    }  # fmt: skip
    assert organization["id"] == ORG
    assert organization["created_by"] == OWNER
    assert organization["customer_id"] is None


def test_smoke(world: World) -> None:
    assert refused(world.owner.get("/organization", orgId=str(uuid.uuid4()))) == (400, "invalid_org_id")
