"""How the server writes its log: one stream (standard error), one shape, for its own lines and its libraries' alike.

Whatever is bound with `structlog.contextvars` — the request id above all — is part of every line that is written
while it is bound.
"""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from capstan.settings import Settings

# These write whole URLs and headers of outgoing requests, credentials included.
_TALKATIVE = ("httpx", "httpcore")


def configure(settings: Settings) -> None:
    """Set up logging for this process, as `log_format` and `log_level` say. Calling it again replaces the set-up."""
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    stamps: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*stamps, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=stamps,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(settings)],
        )
    )
    root = logging.getLogger()
    for old in [one for one in root.handlers if isinstance(one, _StandardError)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)


def _rendering(settings: Settings) -> list[Processor]:
    if settings.log_format == "json":
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    return [
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    ]


class _StandardError(logging.Handler):
    """Writes to whatever `sys.stderr` is at that moment, so it can be redirected after the set-up."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stderr.write(self.format(record) + "\n")
        except Exception:
            self.handleError(record)
