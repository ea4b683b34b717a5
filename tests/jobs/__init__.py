"""Periodic jobs: when they are due, who runs them, what is remembered of them."""
