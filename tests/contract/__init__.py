"""The contract's own acceptance vectors, asked of a whole running server."""
