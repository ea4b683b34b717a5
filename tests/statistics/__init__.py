"""The numbers that people see, on both databases."""
