"""Members: the people of an organization, and those who are invited to it (contract: public 10)."""
