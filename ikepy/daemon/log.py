"""The daemon's log: one line a record on stderr: time, level, subject, text.

Texts may carry what a peer sent (an identity, a notify's name), so control characters are escaped here: no
peer can forge a line or drive a terminal.
"""

from __future__ import annotations

import logging
import sys
from typing import TextIO

LOGGER = logging.getLogger("ikepy")
LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_ESCAPES = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0))}


class LineFormatter(logging.Formatter):
    """Time, level, subject and text in one line; a traceback follows on the same line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(subject)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        if not hasattr(record, "subject"):
            record.subject = record.name
        return one_line(super().format(record))


def one_line(text: str) -> str:
    """`text` with line ends as " | " and every other control character escaped."""
    if text.isprintable():
        return text
    return " | ".join(text.splitlines()).translate(_ESCAPES)


def set_up(level: str, stream: TextIO | None = None) -> None:
    """Send the records of `level` (a key of LEVELS) and above to `stream` (default: stderr)."""
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(LineFormatter())
    for logger in (LOGGER, logging.getLogger("asyncio")):
        logger.handlers[:] = [handler]
        logger.propagate = False
    LOGGER.setLevel(LEVELS[level])


def log(level: int, subject: str, text: str, *, traceback: BaseException | None = None) -> None:
    """Write one line. `traceback`: an exception whose traceback is added; it shows no values."""
    if LOGGER.isEnabledFor(level):
        # Not `LOGGER.log`: where in the source it was called costs more than all the rest, and nobody asks.
        information = None if traceback is None else (type(traceback), traceback, traceback.__traceback__)
        record = logging.LogRecord(LOGGER.name, level, "", 0, text, None, information)
        record.subject = subject
        LOGGER.handle(record)


def debug(subject: str, text: str) -> None:
    log(logging.DEBUG, subject, text)


def info(subject: str, text: str) -> None:
    log(logging.INFO, subject, text)


def warning(subject: str, text: str) -> None:
    log(logging.WARNING, subject, text)


def error(subject: str, text: str) -> None:
    log(logging.ERROR, subject, text)
