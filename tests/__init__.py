"""The suites; they mirror `src/capstan`."""
