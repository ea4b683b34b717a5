"""Bundles as files: where they are kept, how they come in, and how devices get them back."""
