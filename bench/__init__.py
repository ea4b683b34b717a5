"""Measures the budgets of the house: ratios within one run, never a timed test. `make bench`."""
