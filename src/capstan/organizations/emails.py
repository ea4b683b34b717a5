"""What counts as an e-mail address on the wire: a name and a host, neither checked further than that."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

# The last group is there because `$` alone would let a final newline pass.
EmailAddress = Annotated[str, Meta(pattern=r"^[^\s@<>]+@[^\s@<>]+$(?!\n)", max_length=254)]
"""Hosts without a dot are addresses too: a server of one's own may be called `localhost`."""
