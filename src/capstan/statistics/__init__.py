"""The numbers that people see: what each is, is kept right, and is checked (docs/statistics.md)."""
