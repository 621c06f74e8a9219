"""Write the data plane's log: one line an event, its details as words behind it.

Prompts, keys and header values are never logged; what is in ``extra`` is ids, slugs,
words and numbers.
"""

from __future__ import annotations

import logging
import sys
import time
from typing import Final

_STANDARD: Final = frozenset(
    logging.LogRecord("", 0, "", 0, "", None, None).__dict__
) | {"message", "asctime", "taskName"}
_LOGGERS: Final = ("providers", "usage", "poolsite", "asyncio")


class LineFormatter(logging.Formatter):
    """``2026-08-21T10:00:00Z WARNING providers.proxy event key=value``."""

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)sZ %(levelname)s %(name)s %(message)s", "%Y-%m-%dT%H:%M:%S"
        )
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Word one record."""
        line = super().format(record)
        details = [
            f"{name}={value}"
            for name, value in record.__dict__.items()
            if name not in _STANDARD
        ]
        if not details:
            return line
        first, newline, rest = line.partition("\n")
        return " ".join([first, *details]) + newline + rest


def configure_logs(level: int = logging.WARNING) -> None:
    """Send our own loggers to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
