"""Capstan: a self-hosted live-update server for Capacitor apps."""

__version__ = "0.1.0"
