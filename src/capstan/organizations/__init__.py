"""Organizations: who owns apps (contract: public 9)."""
