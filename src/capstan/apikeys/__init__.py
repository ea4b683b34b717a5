"""API keys: finding the principal behind a secret, making and revoking keys."""
