"""Who changed what: written in the transaction of the change itself (contract: public 11)."""
