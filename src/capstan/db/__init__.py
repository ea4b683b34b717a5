"""Where the two databases are opened, described and migrated."""
