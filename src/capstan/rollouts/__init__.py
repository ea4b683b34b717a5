"""Rollouts that are stopped by what their devices report, and bundles that failed on a device (contract: device 6)."""
