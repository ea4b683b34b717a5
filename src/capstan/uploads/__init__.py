"""Uploads as the official command line makes them: resumable ones, and single requests by a signed link."""
