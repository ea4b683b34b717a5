"""Journeys: Capstan as its users run it, with real processes, real builds, and real accidents."""
