"""Plain text out of what may hold HTML (contract: public 7.1: names are stripped of it on write)."""

from __future__ import annotations

import re

_TAG = re.compile(r"<[a-z/!?][^<>]*>", re.IGNORECASE)
# What would begin a tag that is cut off, or one that only appears when others are taken out. `3 < 5` is none.
_OPENING = re.compile(r"(?<!<)<+(?=[a-z/!?])", re.IGNORECASE)


def without_markup(text: str) -> str:
    """The text without tags, trimmed. No part of it can be read as a tag. Takes time in proportion to the text."""
    return _OPENING.sub("", _TAG.sub("", text)).strip()
