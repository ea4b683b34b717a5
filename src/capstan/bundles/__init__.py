"""Bundles: what is released. Listing, deleting, external ones, publishing an uploaded zip."""
