"""Tests of the first owner."""
