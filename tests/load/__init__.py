import pytest

for _name in ("running", "verdict"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")
