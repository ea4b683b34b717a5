"""Work that outlasts a request: long tasks in child processes."""
