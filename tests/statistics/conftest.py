from __future__ import annotations

from tests.bundles.conftest import uploads

__all__ = ["uploads"]
