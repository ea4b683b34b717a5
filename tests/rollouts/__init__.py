"""Rollouts that stop themselves, and bundles that failed on a device."""
