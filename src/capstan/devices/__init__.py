"""Devices: what is known of them, and which channel or bundle an operator put them on (contract: public 15)."""
