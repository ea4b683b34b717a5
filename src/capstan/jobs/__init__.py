"""Work that is not an answer to a request: periodic jobs, and long tasks in child processes."""
