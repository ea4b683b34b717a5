"""Who may do what: principals, roles, permissions, keys and passwords. Rules over values; no HTTP, no SQL."""
