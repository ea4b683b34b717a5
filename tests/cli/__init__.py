"""Tests of the `capstan` command, most of them as it is typed: in a process of its own."""
