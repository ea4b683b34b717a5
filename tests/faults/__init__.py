import pytest

for _name in ("devices", "logbook"):
    pytest.register_assert_rewrite(f"{__name__}.{_name}")
