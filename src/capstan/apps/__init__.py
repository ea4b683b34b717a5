"""Apps: what channels, bundles and devices belong to (contract: public 13)."""
