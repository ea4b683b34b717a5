"""Apps through the public API."""
