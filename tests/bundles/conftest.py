from __future__ import annotations

from pathlib import Path

import pytest

from tests.bundles.uploads import Uploads, uploads_of
from tests.public_api.world import World


@pytest.fixture
def uploads(world: World, tmp_path: Path) -> Uploads:
    """The upload route over `world`."""
    return uploads_of(world, tmp_path)
