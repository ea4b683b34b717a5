"""The log of a server process, without the chatter of the libraries that it is made of."""

from __future__ import annotations

import logging

from capstan import logs
from capstan.settings import Settings

# These tell each step of a start and each migration that is not needed.
_CHATTY = ("uvicorn.error", "alembic")


def configure_logs(settings: Settings) -> None:
    """As `logs.configure`, with only the warnings of those libraries unless everything is wanted."""
    logs.configure(settings)
    level = logging.NOTSET if settings.log_level == "debug" else logging.WARNING
    for name in _CHATTY:
        logging.getLogger(name).setLevel(level)
