"""The beginning of an installation: its first owner, organization and API key, and the way back in for its operator."""
