"""Channels: which bundle is offered to whom (contract: public 14)."""
