"""Telemetry on both databases."""
